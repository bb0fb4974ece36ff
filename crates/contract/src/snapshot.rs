//! Snapshots: a machine's memory, devices and disks at one instant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifact::SnapshotArtifact;
use crate::forgiving;
use crate::id::{MachineId, SnapshotId};
use crate::machine::{ArtifactRef, GuestProtocol};

/// A request for a snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSnapshotRequest {
    /// The name of the snapshot, chosen by the caller.
    pub snapshot_id: SnapshotId,
    /// The longest that the virtual CPUs may stand still, in milliseconds. A snapshot that would take longer is given up with
    /// `pause_exceeded`, and the machine runs on.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_pause_ms: Option<u64>,
}

impl CreateSnapshotRequest {
    /// A request for a snapshot of this name and nothing besides.
    #[must_use]
    pub fn named(snapshot_id: SnapshotId) -> Self {
        Self { snapshot_id, max_pause_ms: None }
    }
}

/// Whether a snapshot may be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// It is durable and was whole when last looked at.
    #[default]
    Complete,
    /// A file is not the one that was sealed; restoring it is refused.
    Quarantined,
}

/// A snapshot as a host answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The machine it was taken of, which may be gone.
    pub machine_id: MachineId,
    /// The address of that machine when it was taken; recorded, never used.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub source_runtime_host: String,
    /// The tap of that machine when it was taken; recorded, never used.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub source_tap_device: String,
    /// When it was taken.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Whether it may be restored.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub state: SnapshotState,
    /// For how long the virtual CPUs stood still.
    #[serde(default)]
    pub pause_ms: u64,
    /// For how long the guest's processes stood still.
    #[serde(default)]
    pub frozen_ms: u64,
    /// The sizes of all its files together.
    #[serde(default)]
    pub size_bytes: u64,
    /// The blocks that its files take on this host, shared ones included.
    #[serde(default)]
    pub allocated_bytes: u64,
    /// The memory of its guest.
    #[serde(default)]
    pub memory_mib: u64,
    /// The virtual CPUs of its guest.
    #[serde(default)]
    pub vcpus: u32,
    /// How a host speaks to its guest.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub guest_protocol: GuestProtocol,
    /// What its machine booted, as a restore asks for it.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub artifact: Option<ArtifactRef>,
    /// The snapshot that its machine was restored from.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub parent: Option<SnapshotId>,
}

/// The answer that holds one snapshot with its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotAnswer {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its files.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub artifacts: Vec<SnapshotArtifact>,
}

/// The answer that lists snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotsAnswer {
    /// The snapshots, oldest first.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub snapshots: Vec<Snapshot>,
}
