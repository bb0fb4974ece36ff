//! A mounted store, as its machine's record holds it: everything but the secret.

use contract::mount::{MountConfig, MountKind};
use contract::{MountId, OperationId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Its name.
    pub id: MountId,
    /// What kind of store it is.
    pub kind: MountKind,
    /// The directory of the guest at which it appears: absolute, without `..`.
    pub target_path: String,
    /// Whether the guest may only read.
    pub read_only: bool,
    /// Where the store is. Its secret is empty: that lies in a file of its own (`Layout::mount_secret`).
    pub config: MountConfig,
    /// The operation that made it, which names the file of its secret.
    pub made_by: OperationId,
    /// How far it has come, in the run of its machine.
    pub state: MountState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How far a mount has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", deny_unknown_fields)]
pub enum MountState {
    /// The guest has not been told.
    Pending,
    /// The guest is at it.
    Mounting,
    /// The guest sees it.
    Mounted,
    /// It did not work, and is tried again when the machine is started again.
    Failed {
        /// Why.
        reason: String,
    },
}
