//! What takes how much room on a host. All sizes are allocated blocks, not apparent size.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{MachineId, SnapshotId};

/// What room is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoragePool {
    /// Kernels and images.
    Artifacts,
    /// Disks of machines.
    MachineDisks,
    /// Published ports.
    PublishedPorts,
    /// Snapshots.
    Snapshots,
    /// Records and journal.
    State,
}

/// The room that one pool takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolUsage {
    /// Which pool.
    pub pool: StoragePool,
    /// Its room.
    pub bytes: u64,
}

/// The room that one machine takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineUsage {
    /// Which machine.
    pub machine_id: MachineId,
    /// Its system disk.
    pub system_bytes: u64,
    /// Its further disks.
    pub user_bytes: u64,
    /// Its memory file, logs and the rest.
    pub runtime_bytes: u64,
}

/// The room that one snapshot takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotUsage {
    /// Which snapshot.
    pub snapshot_id: SnapshotId,
    /// Its room.
    pub bytes: u64,
}

/// What takes how much room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageReport {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub generated_at: Timestamp,
    /// All of it.
    pub total_bytes: u64,
    /// By pool.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub pools: Vec<PoolUsage>,
    /// By machine.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub machines: Vec<MachineUsage>,
    /// By snapshot.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub snapshots: Vec<SnapshotUsage>,
    /// How many ports are published.
    pub published_ports: u64,
}

/// The answer that holds a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageReportAnswer {
    /// The report.
    pub report: StorageReport,
}
