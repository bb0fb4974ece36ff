//! What the daemon remembers: records and journal in one store, so that a commit is one transaction.

use async_trait::async_trait;
use contract::operation::IdempotencyKey;
use contract::{MachineId, OperationId, SnapshotId};

use crate::plan::{Change, FinishedPart};
use crate::record::{Finding, Machine, Operation, OperationError, PublishedPort, Snapshot, Volume};

use super::PortError;

/// Why an operation could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Another operation has this idempotency key.
    #[error("the idempotency key is taken by operation {0}")]
    KeyTaken(OperationId),
    /// The store failed.
    #[error("begin the operation")]
    Store(#[source] PortError),
}

/// How an operation closes.
#[derive(Debug, Clone, PartialEq)]
pub enum Closing {
    /// It was committed and its finishing steps are through; the last of them may bring a change of its own, written in the same transaction.
    Finished(Option<Box<Change>>),
    /// It did not commit, and nothing of it is left.
    Undone,
}

/// The store. `begin` and `commit` are synchronous to the disk; the rest may be lost with the power, but not with the process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Writes an operation with its plan. From here on everything that the plan names is reserved.
    async fn begin(&self, operation: &Operation) -> Result<(), BeginError>;

    /// Adds what a step found out to the operation's row.
    async fn note(&self, operation: &OperationId, finding: &Finding) -> Result<(), PortError>;

    /// Writes a completed change to the records and marks the operation committed, in one transaction.
    async fn commit(&self, operation: &OperationId, change: &Change) -> Result<(), PortError>;

    /// Writes a change that belongs to a committed operation's finishing steps.
    async fn apply(&self, change: &Change) -> Result<(), PortError>;

    /// Records why an operation did not commit. Its undo is about to begin.
    async fn fail(&self, operation: &OperationId, error: &OperationError) -> Result<(), PortError>;

    /// Closes an operation. Secrets leave its row.
    async fn close(&self, operation: &OperationId, closing: &Closing) -> Result<(), PortError>;

    /// One operation.
    async fn operation(&self, id: &OperationId) -> Result<Option<Operation>, PortError>;

    /// The latest operation with this key within the time that keys are kept.
    async fn operation_by_key(&self, key: &IdempotencyKey) -> Result<Option<Operation>, PortError>;

    /// Operations, newest first, at most `limit`.
    async fn operations(&self, limit: usize) -> Result<Vec<Operation>, PortError>;

    /// All operations that are not closed. A row that cannot be read is reported in its place and hides no other (P4).
    async fn open_operations(&self) -> Result<Vec<Result<Operation, PortError>>, PortError>;

    /// One machine.
    async fn machine(&self, id: &MachineId) -> Result<Option<Machine>, PortError>;

    /// All machines, by id. Rows that cannot be read are logged and left out: one machine's trouble is its own (P14).
    async fn machines(&self) -> Result<Vec<Machine>, PortError>;

    /// One snapshot.
    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<Snapshot>, PortError>;

    /// All snapshots, by time.
    async fn snapshots(&self) -> Result<Vec<Snapshot>, PortError>;

    /// All volumes, by id.
    async fn volumes(&self) -> Result<Vec<Volume>, PortError>;

    /// All published ports, oldest first.
    async fn published_ports(&self) -> Result<Vec<PublishedPort>, PortError>;

    /// The parts of a snapshot that lie in an object store already, by what operations noted, whether they committed or not.
    async fn finished_parts(&self, snapshot: &SnapshotId) -> Result<Vec<FinishedPart>, PortError>;

    /// Forgets closed operations that are older than keys are kept.
    async fn prune(&self) -> Result<(), PortError>;
}
