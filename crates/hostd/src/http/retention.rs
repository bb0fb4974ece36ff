//! Snapshots that go by themselves, through the same delete that callers ask for: never while anything uses them (promise P9).

use contract::{ErrorCode, SnapshotId};
use engine::plan::{self, Facts, Refusal};
use jiff::SignedDuration;
use tracing::{info, warn};

use super::api::{Api, no_snapshot};
use super::error::Failure;
use super::mutate::Decision;

/// For how long the snapshot of a fork is left alone whose children may be on their way. Its own request collects it sooner.
const BIRTH: SignedDuration = SignedDuration::from_mins(10);

impl Api {
    /// Deletes every snapshot that nobody keeps and nothing uses. What fails is told, and tried again at the next call.
    pub async fn collect(&self) {
        let now = self.host().clock.now();
        let snapshots = match self.host().journal.snapshots().await {
            Ok(snapshots) => snapshots,
            Err(error) => {
                warn!(error = error.chain(), "cannot tell which snapshots nobody keeps");
                return;
            }
        };
        let is_over = |snapshot: &&engine::record::Snapshot| {
            let age = now.duration_since(snapshot.origin.created_at);
            snapshot.is_of_fork && age >= BIRTH
        };
        for snapshot in snapshots.iter().filter(is_over) {
            self.collect_one(&snapshot.origin.snapshot).await;
        }
    }

    /// The same for the snapshot of a fork whose children are all born or given up; one that callers see is left to them.
    pub(super) async fn collect_fork(&self, id: &SnapshotId) {
        match self.host().journal.snapshot(id).await {
            Ok(Some(snapshot)) if snapshot.is_of_fork => self.collect_one(id).await,
            Ok(_) => {}
            Err(error) => warn!(snapshot = %id, error = error.chain(), "cannot be looked at"),
        }
    }

    async fn collect_one(&self, id: &SnapshotId) {
        match self.try_collect(id).await {
            Ok(()) => info!(snapshot = %id, "nobody keeps it: deleted"),
            Err(failure) if is_used(failure.code) => {}
            Err(failure) => warn!(snapshot = %id, reason = failure.reason, "not deleted yet"),
        }
    }

    async fn try_collect(&self, id: &SnapshotId) -> Result<(), Failure> {
        let wanted = id.clone();
        let plan = move |facts: &Facts<'_>| {
            let found = facts.snapshots.iter().find(|record| record.origin.snapshot == wanted);
            let absent = || Refusal::new(ErrorCode::NotFound, no_snapshot(&wanted).reason);
            plan::snapshot::delete(found.ok_or_else(absent)?, facts).map(Decision::from)
        };
        let mut ticket = self.start_unasked(plan).await?;
        let operation = ticket.operation.clone();
        let closed = ticket.closed().await;
        closed.map(drop).map_err(|error| Failure::operation(error, &operation))
    }
}

/// What is in use now is looked at again later; what is gone needs nobody.
fn is_used(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::InUse | ErrorCode::Busy | ErrorCode::NotFound)
}
