//! The way to the files of a machine, and how many may go it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use contract::machine::GuestProtocol;
use contract::{ErrorCode, MachineId};
use engine::phase::Phase;
use guest::client::Client;

use crate::file_uses::Use;
use crate::http::api::Api;
use crate::http::error::Failure;

/// File requests of one machine at once: a guest whose file system hangs keeps its own callers waiting and nobody else's.
const AT_ONCE: usize = 32;

/// How many file requests each machine has under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Turns {
    machines: Arc<Mutex<HashMap<MachineId, usize>>>,
}

/// A request under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    machine: MachineId,
}

impl Turns {
    pub(super) fn take(&self, machine: &MachineId) -> Result<Turn, Failure> {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let count = machines.entry(machine.clone()).or_default();
        if *count >= AT_ONCE {
            let reason = format!("machine {machine} has {AT_ONCE} file requests under way");
            return Err(Failure::new(ErrorCode::TooManyRequests, reason));
        }
        *count += 1;
        Ok(Turn { turns: self.clone(), machine: machine.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut machines = self.turns.machines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = machines.get_mut(&self.machine) {
            *count -= 1;
            if *count == 0 {
                machines.remove(&self.machine);
            }
        }
    }
}

/// The files of a machine.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) client: Client,
    /// Held for as long as the request is under way.
    pub(super) held: Held,
}

/// What keeps a guest there for a request, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _turn: Turn,
    /// Of a guest that is up for its files only.
    _use: Option<Use>,
}

impl Api {
    /// The files of a machine: through the guest that runs, or through one that is booted for them.
    pub(super) async fn reach_files(&self, id: &MachineId) -> Result<Reached, Failure> {
        let machine = self.machine(id).await?;
        match machine.guest_protocol {
            GuestProtocol::Agent => {}
            GuestProtocol::Mmds | GuestProtocol::None => {
                let reason = format!("the guest of machine {id} has no agent");
                return Err(Failure::new(ErrorCode::NoAgent, reason));
            }
        }
        let turn = self.file_turns.take(id)?;
        let (launch, used) = match &machine.phase {
            Phase::Running { run } => (run.launch.clone(), None),
            Phase::Stopped { .. } => {
                let used = self.enter_stopped(id).await?;
                (used.launch.clone(), Some(used))
            }
            phase @ (Phase::Starting { .. } | Phase::Failed { .. }) => {
                let reason = format!("machine {id} is {}", phase.public().as_str());
                return Err(Failure::new(ErrorCode::WrongState, reason));
            }
        };
        let held = Held { _turn: turn, _use: used };
        Ok(Reached { client: self.agents.client(&launch), held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_p14_a_machine_has_a_bound_of_its_own() {
        let turns = Turns::default();
        let (slow, other): (MachineId, MachineId) =
            ("slow".parse().unwrap(), "other".parse().unwrap());
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| turns.take(&slow).unwrap()).collect();
        assert_eq!(turns.take(&slow).unwrap_err().code, ErrorCode::TooManyRequests);
        drop(turns.take(&other).unwrap());
        held.pop();
        drop(turns.take(&slow).unwrap());
        drop(held);
        assert!(turns.machines.lock().unwrap().is_empty());
    }
}
