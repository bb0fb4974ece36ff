//! Forks: many machines that go on from one that runs, or from one snapshot.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ErrorBody;
use crate::forgiving;
use crate::id::{MachineId, OperationId, SnapshotId};
use crate::machine::{GuestConfig, Machine};

/// How many children one request may ask for.
pub const MAXIMUM_CHILDREN: usize = 256;

/// A request for machines that go on from where another is, or from a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForkRequest {
    /// How many; may be left out where `machine_ids` says it. At most [`MAXIMUM_CHILDREN`].
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub count: Option<u32>,
    /// Their names: as many as `count`, or none, and the host names them.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub machine_ids: Vec<MachineId>,
    /// What each guest is told about itself; without a host name each is called by its machine's name.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub guest_config: Option<GuestConfig>,
    /// Whether each child gets a memory file of its own, rather than to share the pages that it does not write. A child under
    /// QEMU that shares cannot be snapshotted.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub own_memory: bool,
    /// The longest that the virtual CPUs of the source may stand still, in milliseconds. What would take longer is given up, and
    /// the source runs on. Of no account where a snapshot is forked.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_pause_ms: Option<u64>,
}

/// What became of one child: a machine, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForkedMachine {
    /// Its name.
    pub machine_id: MachineId,
    /// The operation that made it, where one began.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation_id: Option<OperationId>,
    /// The machine.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub machine: Option<Machine>,
    /// Why there is none.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub error: Option<ErrorBody>,
}

/// The answer to a fork: an outcome for each child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForkAnswer {
    /// What the children go on from. Where a machine was forked it is a snapshot of the host's own, which is gone when no child
    /// needs it any more.
    pub snapshot_id: SnapshotId,
    /// For how long the virtual CPUs of a forked machine stood still.
    #[serde(default)]
    pub pause_ms: u64,
    /// For how long its processes stood still.
    #[serde(default)]
    pub frozen_ms: u64,
    /// The children, in the order of the request.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub children: Vec<ForkedMachine>,
}
