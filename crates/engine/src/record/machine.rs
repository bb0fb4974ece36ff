//! A machine as the store holds it.

use camino::Utf8PathBuf;
use contract::machine::{ArtifactRef, Egress, GuestConfig, GuestProtocol, Identity};
use contract::{MachineId, SnapshotId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::Phase;

use super::{FillingRecord, Mount, RelayPort, Tuning};

/// Which VMM runs a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VmmKind {
    /// QEMU's `microvm`.
    Qemu,
    /// Firecracker under its jailer.
    Firecracker,
}

/// The size of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// RAM in MiB.
    pub memory_mib: u64,
}

/// Where a machine's RAM lives, which says how its next snapshot is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Memory {
    /// A file of its own, cloned by a snapshot.
    Own,
    /// A private mapping of a snapshot's sealed memory file.
    Sealed {
        /// The snapshot whose file it maps.
        snapshot: SnapshotId,
    },
}

/// How many user volumes a machine has at most: as many places as there are for disks beside the root.
pub const MAXIMUM_USER_DISKS: usize = 11;

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub id: MachineId,
    /// What it was made from, as the caller said.
    pub artifact: ArtifactRef,
    /// CPUs and memory.
    pub shape: Shape,
    /// Nominal size of the system disk, in bytes.
    pub storage_bytes: u64,
    /// The VMM it runs under.
    pub vmm: VmmKind,
    /// Who answers for the guest.
    pub guest_protocol: GuestProtocol,
    /// Guest TCP ports that must accept before a guest without an agent counts as ready.
    pub ready_ports: Vec<u16>,
    /// Where the guest may connect to.
    pub egress: Egress,
    /// How its devices and CPU are made.
    #[serde(default)]
    pub tuning: Tuning,
    /// Host name, keys, webhook.
    pub guest_config: GuestConfig,
    /// User volumes in device order.
    pub user_volume_ids: Vec<VolumeId>,
    /// Ports of the host that lead into it. Records of daemons that had no relays get theirs with the next start.
    #[serde(default)]
    pub relays: Vec<RelayPort>,
    /// Where RAM lives.
    pub memory: Memory,
    /// The snapshot it was restored from, until it has been started from its disk again.
    pub restored_from: Option<SnapshotId>,
    /// 32 hex digits for `/etc/machine-id`.
    pub machine_id_hex: String,
    /// Whether the agent confirmed who it is.
    pub identity: Option<Identity>,
    /// Version of the agent, as it told it.
    pub agent_version: Option<String>,
    /// The public SSH host key, as the agent told it.
    pub ssh_host_public_key: Option<String>,
    /// Stores that its guest mounts, oldest first.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Its files that are filled while it runs, of a lazy restore.
    #[serde(default)]
    pub filling: Option<FillingRecord>,
    /// What it does now.
    pub phase: Phase,
    /// When its record was made.
    pub created_at: Timestamp,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
}

impl Machine {
    /// The system volume, which goes with the machine.
    pub fn system_volume_id(&self) -> VolumeId {
        VolumeId::system_of(&self.id)
    }

    /// Nominal bytes of the disks that go with it.
    pub fn disk_bytes(&self) -> u64 {
        self.storage_bytes
    }

    /// Names of all its disks in device order, as file names of the snapshot and of the machine's directory.
    pub fn disk_names(&self) -> Vec<Utf8PathBuf> {
        let users = (1..=self.user_volume_ids.len()).map(|n| format!("user-{n}.img").into());
        std::iter::once("system.img".into()).chain(users).collect()
    }
}
