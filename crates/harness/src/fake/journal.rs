//! The journal of the fake host.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use contract::operation::{IdempotencyKey, OperationState};
use contract::{MachineId, OperationId, SnapshotId};
use engine::plan::{Change, FinishedPart};
use engine::port::{BeginError, Clock, Closing, Fault, Journal, PortError};
use engine::record::{
    Finding, Machine, Operation, OperationError, PublishedPort, Snapshot, Volume,
};

use jiff::{SignedDuration, Timestamp};

use super::journal_rows::Rows;
use super::life::Life;

/// The journal port of one life.
pub struct MemoryJournal {
    life: Life,
    clock: Arc<dyn Clock>,
}

/// For how long closed operations and their keys are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl MemoryJournal {
    /// The port.
    pub fn new(life: Life, clock: Arc<dyn Clock>) -> Self {
        Self { life, clock }
    }

    /// What was closed before this is forgotten.
    fn kept_since(&self) -> Timestamp {
        self.clock.now().checked_sub(KEPT).unwrap_or(Timestamp::MIN)
    }

    async fn read<T>(&self, name: &str, read: impl FnOnce(&Rows) -> T) -> Result<T, PortError> {
        self.life.effect(name, |state| Ok(read(&state.rows))).await
    }

    /// Changes one operation's row.
    async fn change(
        &self,
        name: &str,
        id: &OperationId,
        change: impl FnOnce(&mut Operation),
    ) -> Result<(), PortError> {
        self.life
            .effect(name, |state| {
                let operation = state.rows.operations.get_mut(id).ok_or_else(|| absent(id))?;
                change(operation);
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn begin(&self, operation: &Operation) -> Result<(), BeginError> {
        let kept_since = self.kept_since();
        let taken = self
            .life
            .effect("journal.begin", |state| {
                let has_key = |other: &&Operation| {
                    other.key.is_some()
                        && other.key == operation.key
                        && other.state != OperationState::Undone
                        && other.ended_at.is_none_or(|at| at >= kept_since)
                };
                if let Some(other) = state.rows.operations.values().find(has_key) {
                    return Ok(Some(other.id.clone()));
                }
                match state.rows.operations.entry(operation.id.clone()) {
                    Entry::Vacant(row) => {
                        row.insert(operation.clone());
                        Ok(None)
                    }
                    Entry::Occupied(_) => {
                        let action = format!("begin {}: the id is taken", operation.id);
                        Err(PortError::plain(Fault::Internal, action))
                    }
                }
            })
            .await
            .map_err(BeginError::Store)?;
        taken.map_or(Ok(()), |other| Err(BeginError::KeyTaken(other)))
    }

    async fn note(&self, operation: &OperationId, finding: &Finding) -> Result<(), PortError> {
        self.change("journal.note", operation, |row| row.findings.push(finding.clone())).await
    }

    async fn commit(&self, operation: &OperationId, change: &Change) -> Result<(), PortError> {
        self.life
            .effect("journal.commit", |state| {
                if !state.rows.operations.contains_key(operation) {
                    return Err(absent(operation));
                }
                state.rows.write(change)?;
                let row = state.rows.operations.get_mut(operation);
                let row = row.ok_or_else(|| absent(operation))?;
                row.state = OperationState::Committed;
                row.committed = Some(change.clone());
                Ok(())
            })
            .await
    }

    async fn apply(&self, change: &Change) -> Result<(), PortError> {
        self.life.effect("journal.apply", |state| state.rows.write(change)).await
    }

    async fn fail(&self, operation: &OperationId, error: &OperationError) -> Result<(), PortError> {
        self.change("journal.fail", operation, |row| {
            row.state = OperationState::Failed;
            row.error = Some(error.clone());
        })
        .await
    }

    async fn close(&self, operation: &OperationId, closing: &Closing) -> Result<(), PortError> {
        let now = self.clock.now();
        self.life
            .effect("journal.close", |state| {
                match closing {
                    Closing::Finished(change) => {
                        if let Some(change) = change {
                            state.rows.write(change)?;
                        }
                        state.rows.end(operation, OperationState::Committed, now);
                    }
                    Closing::Undone => {
                        state.rows.end(operation, OperationState::Undone, now);
                    }
                }
                Ok(())
            })
            .await
    }

    async fn operation(&self, id: &OperationId) -> Result<Option<Operation>, PortError> {
        self.read("journal.operation", |rows| rows.operations.get(id).cloned()).await
    }

    async fn operation_by_key(&self, key: &IdempotencyKey) -> Result<Option<Operation>, PortError> {
        let kept_since = self.kept_since();
        self.read("journal.operation_by_key", |rows| {
            let mut latest = rows.operations.values().rev();
            let is_kept = |row: &Operation| row.ended_at.is_none_or(|at| at >= kept_since);
            latest.find(|row| row.key.as_ref() == Some(key) && is_kept(row)).cloned()
        })
        .await
    }

    async fn operations(&self, limit: usize) -> Result<Vec<Operation>, PortError> {
        self.read("journal.operations", |rows| {
            rows.operations.values().rev().take(limit).cloned().collect()
        })
        .await
    }

    async fn open_operations(&self) -> Result<Vec<Result<Operation, PortError>>, PortError> {
        self.read("journal.open_operations", |rows| rows.open().cloned().map(Ok).collect()).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Option<Machine>, PortError> {
        self.read("journal.machine", |rows| rows.machines.get(id).cloned()).await
    }

    async fn machines(&self) -> Result<Vec<Machine>, PortError> {
        self.read("journal.machines", |rows| rows.machines.values().cloned().collect()).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<Snapshot>, PortError> {
        self.read("journal.snapshot", |rows| rows.snapshots.get(id).cloned()).await
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, PortError> {
        self.read("journal.snapshots", |rows| {
            let mut snapshots: Vec<Snapshot> = rows.snapshots.values().cloned().collect();
            snapshots.sort_by_key(|snapshot| snapshot.origin.created_at);
            snapshots
        })
        .await
    }

    async fn volumes(&self) -> Result<Vec<Volume>, PortError> {
        self.read("journal.volumes", |rows| rows.volumes.values().cloned().collect()).await
    }

    async fn published_ports(&self) -> Result<Vec<PublishedPort>, PortError> {
        self.read("journal.published_ports", |rows| {
            let mut ports: Vec<_> = rows.published_ports.values().cloned().collect();
            ports.sort_by_key(|port| port.created_at);
            ports
        })
        .await
    }

    async fn finished_parts(&self, snapshot: &SnapshotId) -> Result<Vec<FinishedPart>, PortError> {
        self.read("journal.finished_parts", |rows| {
            let of_snapshot = |row: &&Operation| row.plan.resource_id == snapshot.as_str();
            let rows = rows.operations.values().filter(of_snapshot);
            rows.flat_map(|row| row.findings.iter().filter_map(finished)).collect()
        })
        .await
    }

    async fn prune(&self) -> Result<(), PortError> {
        let before = self.kept_since();
        self.life
            .effect("journal.prune", |state| {
                state.rows.prune(before);
                Ok(())
            })
            .await
    }
}

/// The part that a finding speaks of.
pub fn finished(finding: &Finding) -> Option<FinishedPart> {
    match finding {
        Finding::PartFinished {
            artifact,
            upload_id,
            part_number,
            offset_bytes,
            size_bytes,
            etag,
        } => Some(FinishedPart {
            artifact: *artifact,
            upload_id: upload_id.clone(),
            part_number: *part_number,
            offset_bytes: *offset_bytes,
            size_bytes: *size_bytes,
            etag: Some(etag.clone()),
        }),
        Finding::Launched { .. }
        | Finding::Placed { .. }
        | Finding::Moment { .. }
        | Finding::Sealed { .. }
        | Finding::Summed { .. }
        | Finding::Confirmed { .. }
        | Finding::Cut { .. }
        | Finding::Sent { .. }
        | Finding::CommandEnded { .. } => None,
    }
}

fn absent(id: &OperationId) -> PortError {
    PortError::plain(Fault::Absent, format!("find operation {id}"))
}

impl std::fmt::Debug for MemoryJournal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryJournal").field("life", &self.life).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use engine::testing::{ManualClock, journal};

    use super::*;
    use crate::fake::{Faults, World};

    #[tokio::test]
    async fn the_fake_journal_conforms_as_the_store_does() {
        journal::conforms(|| {
            let world = Arc::new(World::new(Utf8Path::new("/root")));
            let clock = Arc::new(ManualClock::new(journal::start_of_time()));
            let life = Life::begin(&world, Arc::new(Faults::default()));
            (MemoryJournal::new(life, Arc::<ManualClock>::clone(&clock)), clock)
        })
        .await;
    }
}
