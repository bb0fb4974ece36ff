//! An operation: a plan under way or ended, and what its steps found out.

use contract::OperationId;
use contract::artifact::ArtifactId;
use contract::operation::{IdempotencyKey, OperationState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::{Change, Plan};
use crate::port::{Configured, Sent, VmmHandle};
use crate::record::{ArtifactSum, ChunkedForm, CommandOutcome, SealedArtifact};

/// What a step found out. The commit carries it into the records; no step reads another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Finding {
    /// The VMM that a launch started.
    Launched {
        /// Who it is.
        handle: VmmHandle,
    },
    /// An artifact was placed.
    Placed {
        /// Its sum.
        sum: ArtifactSum,
    },
    /// The guest was frozen, paused, resumed or thawed at this moment.
    Moment {
        /// Which.
        which: Moment,
        /// Monotonic microseconds.
        at_us: u64,
    },
    /// The files of a snapshot were sealed.
    Sealed {
        /// Each of them.
        artifacts: Vec<SealedArtifact>,
    },
    /// The sum of a large artifact became known.
    Summed {
        /// Which artifact.
        artifact: ArtifactId,
        /// Its sum.
        sum: ArtifactSum,
    },
    /// A part lies in the object store.
    PartFinished {
        /// Which artifact.
        artifact: ArtifactId,
        /// The caller's multipart upload.
        upload_id: String,
        /// Its number.
        part_number: u32,
        /// Where it began.
        offset_bytes: u64,
        /// Its length.
        size_bytes: u64,
        /// As the store answered it.
        etag: String,
    },
    /// The chunked form of a snapshot was made.
    Cut {
        /// What it is.
        form: ChunkedForm,
    },
    /// Packs lie in the object store.
    Sent {
        /// How much it was.
        sent: Sent,
    },
    /// A command ended, or ran out of time.
    CommandEnded {
        /// What became of it.
        outcome: CommandOutcome,
    },
    /// The agent confirmed an identity.
    Confirmed {
        /// What it said.
        configured: Configured,
    },
}

/// The moments of a snapshot that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Guest processes are about to be frozen.
    Freezing,
    /// vCPUs are about to stop.
    Pausing,
    /// vCPUs run again.
    Resumed,
    /// Guest processes run again.
    Thawed,
}

/// An operation, as the journal holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The caller's `Idempotency-Key`.
    pub key: Option<IdempotencyKey>,
    /// SHA-256 of method, path and body: the same key with another body is refused.
    pub request_sha256: Option<contract::Sha256Hex>,
    /// What it does. Its secrets (signed URLs) are removed when it closes.
    pub plan: Plan,
    /// Where it stands.
    pub state: OperationState,
    /// What its steps found, in order.
    pub findings: Vec<Finding>,
    /// The change as it was committed, from which the answer is encoded, also when it is repeated.
    pub committed: Option<Change>,
    /// Why it did not commit.
    pub error: Option<OperationError>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it closed.
    pub ended_at: Option<Timestamp>,
}

impl Operation {
    /// An operation that is about to begin, without an idempotency key.
    pub fn new(plan: Plan, now: Timestamp) -> Self {
        Self {
            id: plan.operation.clone(),
            key: None,
            request_sha256: None,
            plan,
            state: OperationState::Running,
            findings: vec![],
            committed: None,
            error: None,
            started_at: now,
            ended_at: None,
        }
    }

    /// Its plan, while that holds names or room which no record shows. Once a machine was started or a snapshot added, their
    /// records show all that it took; what still is to be done for it (waiting for a guest, sums) takes nothing more, and must
    /// not keep a name when the record is gone.
    pub fn reserving(self) -> Option<Plan> {
        let is_recorded = self.state == OperationState::Committed
            && matches!(
                self.plan.commit,
                Change::MachineStarted { .. }
                    | Change::SnapshotAdded { .. }
                    | Change::Forked { .. }
            );
        (!is_recorded).then_some(self.plan)
    }
}

/// Why an operation did not commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationError {
    /// Whose fault it is.
    pub fault: crate::port::Fault,
    /// The whole chain in words.
    pub reason: String,
}
