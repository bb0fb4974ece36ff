//! What every handler has at hand.

use std::sync::Arc;

use contract::{ErrorCode, MachineId, SnapshotId};
use engine::host::Host;
use engine::reconcile::Mint;
use engine::record::{Machine, Snapshot};
use engine::runner::Runner;
use tokio::sync::{Notify, Semaphore};

use super::error::Failure;
use super::exec::Agents;
use super::files::{Keys, Turns};
use super::moment::Room;
use crate::config::Limits;
use crate::file_uses::FileUses;
use crate::storage::Meter;

/// The engine and the few things beside it. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Runs operations.
    pub runner: Runner,
    /// Names them.
    pub mint: Arc<dyn Mint>,
    /// Tells how much room there is.
    pub room: Arc<dyn Room>,
    /// Leads to the agents of guests.
    pub agents: Arc<dyn Agents>,
    /// The stopped machines whose files are reached.
    pub file_uses: FileUses,
    /// How much of anything is accepted.
    pub limits: Limits,
    /// Told when a mount was recorded.
    pub mounted: Arc<Notify>,
    pub(super) meter: Arc<Meter>,
    pub(super) execs: Arc<Semaphore>,
    pub(super) file_turns: Turns,
    pub(super) file_keys: Keys,
}

impl Api {
    /// Puts it together.
    pub fn new(
        runner: Runner,
        mint: Arc<dyn Mint>,
        room: Arc<dyn Room>,
        agents: Arc<dyn Agents>,
        file_uses: FileUses,
        limits: Limits,
    ) -> Self {
        let execs = Arc::new(Semaphore::new(limits.execs));
        Self {
            runner,
            mint,
            room,
            agents,
            file_uses,
            limits,
            mounted: Arc::default(),
            meter: Arc::default(),
            execs,
            file_turns: Turns::default(),
            file_keys: Keys::default(),
        }
    }

    pub(super) fn host(&self) -> &Host {
        self.runner.host()
    }

    /// A machine that has to be there.
    pub(super) async fn machine(&self, id: &MachineId) -> Result<Machine, Failure> {
        let found = self.host().journal.machine(id).await?;
        found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("no machine {id}")))
    }

    /// A snapshot that has to be there.
    pub(super) async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Failure> {
        let found = self.host().journal.snapshot(id).await?;
        found.ok_or_else(|| no_snapshot(id))
    }
}

pub(super) fn no_snapshot(id: &SnapshotId) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("no snapshot {id}"))
}
