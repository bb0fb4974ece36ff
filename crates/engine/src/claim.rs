//! Claims: who may work on what. Not locks that wait: a claim that cannot be had is a refusal, at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use contract::{MachineId, PublishedPortId, SnapshotId, VolumeId};
use serde::{Deserialize, Serialize};

/// What can be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A machine.
    Machine(MachineId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A volume.
    Volume(VolumeId),
    /// A published port of a machine.
    PublishedPort(MachineId, PublishedPortId),
    /// The chunked form of a snapshot.
    ChunkedForm(SnapshotId),
}

/// Alone, or together with others who only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// With others.
    Shared,
    /// Alone.
    Exclusive,
}

/// One claim of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// On what.
    pub subject: Subject,
    /// How.
    pub access: Access,
}

impl Claim {
    /// Alone on a machine.
    pub fn machine(id: &MachineId) -> Self {
        Self { subject: Subject::Machine(id.clone()), access: Access::Exclusive }
    }

    /// Adding something to a machine that stays as it is, with others who do.
    pub fn add_to_machine(id: &MachineId) -> Self {
        Self { subject: Subject::Machine(id.clone()), access: Access::Shared }
    }

    /// Alone on a published port.
    pub fn published_port(machine: &MachineId, id: &PublishedPortId) -> Self {
        let subject = Subject::PublishedPort(machine.clone(), id.clone());
        Self { subject, access: Access::Exclusive }
    }

    /// Alone on a snapshot.
    pub fn snapshot(id: &SnapshotId) -> Self {
        Self { subject: Subject::Snapshot(id.clone()), access: Access::Exclusive }
    }

    /// Reading a snapshot, with others.
    pub fn read_snapshot(id: &SnapshotId) -> Self {
        Self { subject: Subject::Snapshot(id.clone()), access: Access::Shared }
    }

    /// Alone on the chunked form of a snapshot, whose files others may read.
    pub fn chunked_form(id: &SnapshotId) -> Self {
        Self { subject: Subject::ChunkedForm(id.clone()), access: Access::Exclusive }
    }

    /// Alone on a volume.
    pub fn volume(id: &VolumeId) -> Self {
        Self { subject: Subject::Volume(id.clone()), access: Access::Exclusive }
    }
}

/// Somebody else works on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is in use by another operation")]
pub struct BusyError(pub Subject);

/// All claims of the daemon.
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<HashMap<Subject, Use>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Exclusive,
    Shared(usize),
}

/// Claims that are held until this value is dropped.
#[derive(Debug)]
pub struct Held {
    claims: Arc<Claims>,
    taken: Vec<Claim>,
}

impl Claims {
    /// Takes all of them or none.
    pub fn take(self: &Arc<Self>, wanted: &[Claim]) -> Result<Held, BusyError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = wanted.iter().find(|claim| !is_free(&held, claim)) {
            return Err(BusyError(busy.subject.clone()));
        }
        for claim in wanted {
            let next = match (claim.access, held.get(&claim.subject)) {
                (Access::Exclusive, _) => Use::Exclusive,
                (Access::Shared, Some(Use::Shared(count))) => Use::Shared(count + 1),
                (Access::Shared, _) => Use::Shared(1),
            };
            held.insert(claim.subject.clone(), next);
        }
        Ok(Held { claims: Arc::clone(self), taken: wanted.to_vec() })
    }
}

fn is_free(held: &HashMap<Subject, Use>, claim: &Claim) -> bool {
    match (claim.access, held.get(&claim.subject)) {
        (_, None) | (Access::Shared, Some(Use::Shared(_))) => true,
        (_, Some(_)) => false,
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
        for claim in &self.taken {
            match held.get_mut(&claim.subject) {
                Some(Use::Shared(count)) if *count > 1 => *count -= 1,
                _ => {
                    held.remove(&claim.subject);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_p9_readers_share_a_snapshot_and_keep_a_delete_away() {
        let claims = Arc::new(Claims::default());
        let id: SnapshotId = "s".parse().unwrap();
        let first = claims.take(&[Claim::read_snapshot(&id)]).unwrap();
        let second = claims.take(&[Claim::read_snapshot(&id)]).unwrap();
        claims.take(&[Claim::snapshot(&id)]).unwrap_err();
        drop(first);
        claims.take(&[Claim::snapshot(&id)]).unwrap_err();
        drop(second);
        let alone = claims.take(&[Claim::snapshot(&id)]).unwrap();
        claims.take(&[Claim::read_snapshot(&id)]).unwrap_err();
        drop(alone);
        claims.take(&[Claim::snapshot(&id)]).unwrap();
    }

    #[test]
    fn claims_are_taken_all_or_none() {
        let claims = Arc::new(Claims::default());
        let (a, b): (MachineId, MachineId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let held = claims.take(&[Claim::machine(&b)]).unwrap();
        claims.take(&[Claim::machine(&a), Claim::machine(&b)]).unwrap_err();
        drop(held);
        claims.take(&[Claim::machine(&a), Claim::machine(&b)]).unwrap();
    }
}
