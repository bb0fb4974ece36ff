//! A snapshot, what it was taken of, and what its files are.

use std::net::Ipv4Addr;

use contract::artifact::ArtifactId;
use contract::{MachineId, OperationId, Sha256Hex, SnapshotId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use contract::machine::{ArtifactRef, Egress, GuestProtocol};

use super::{Shape, Tuning, VmmKind};

/// The CPU that a guest has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuIdentity {
    /// The accelerator: `tcg` or `kvm`.
    pub accelerator: String,
    /// The CPU model given to the guest, such as `max` or a template's name.
    pub model: String,
    /// Vendor of the host CPU; what TCG shows the guest does not depend on it.
    pub vendor: String,
    /// Family, model and stepping of the host CPU.
    pub signature: String,
    /// Feature flags of the host CPU, sorted.
    pub flags: Vec<String>,
}

/// What a snapshot was taken of, and what restoring it depends on. It is the strict `origin` part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Which VMM wrote the device state.
    pub vmm: VmmKind,
    /// Its version, as it says it.
    pub vmm_version: String,
    /// SHA-256 of its binary.
    pub vmm_sha256: Sha256Hex,
    /// The machine type or device model: `microvm`.
    pub machine_type: String,
    /// The guest's CPU.
    pub cpu: CpuIdentity,
    /// TSC frequency that the guest believes in, in kHz.
    pub tsc_khz: u64,
    /// `uname -r` of the host.
    pub host_kernel: String,
    /// Size of the machine.
    pub shape: Shape,
}

/// The SHA-256 and size of a raw file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactSum {
    /// Over every byte, holes as zeros.
    pub sha256: Sha256Hex,
    /// Apparent size.
    pub size_bytes: u64,
}

/// One file of a snapshot, as the daemon plans with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedArtifact {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// Apparent size in bytes.
    pub size_bytes: u64,
    /// Allocated bytes of it that are data.
    pub data_bytes: u64,
    /// SHA-256 of the raw file, once known.
    pub sha256: Option<Sha256Hex>,
}

/// What a manifest says of one file, as far as planning cares. The digests stay with the `Chunks` adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// Apparent size in bytes.
    pub size_bytes: u64,
    /// Bytes that are data.
    pub data_bytes: u64,
}

/// A manifest that was read and verified. Plans hold no manifest; steps name where it lies, and the adapter reads it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What the snapshot was taken of.
    pub origin: SnapshotOrigin,
    /// Its files.
    pub files: Vec<ManifestFile>,
}

/// Origin of the machine and of the guest together: all that a restore elsewhere needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotOrigin {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The machine that it was taken of.
    pub machine: MachineId,
    /// When.
    pub created_at: Timestamp,
    /// VMM, CPU, TSC, kernel, size.
    pub host: Origin,
    /// Who answers for the guest.
    pub guest_protocol: GuestProtocol,
    /// Guest TCP ports that say that it is ready.
    pub ready_ports: Vec<u16>,
    /// Where the guest may connect to.
    pub egress: Egress,
    /// How its devices and CPU are made.
    #[serde(default, skip_serializing_if = "Tuning::is_usual")]
    pub tuning: Tuning,
    /// What the machine was made from.
    pub artifact: ArtifactRef,
    /// Version of the agent that ran in it, once it has said so.
    pub agent_version: Option<String>,
    /// The snapshot from which the machine itself had been restored.
    pub parent: Option<SnapshotId>,
}

/// Whether a snapshot may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SnapshotState {
    /// Sealed and as it was.
    Complete,
    /// A check found it changed.
    Quarantined {
        /// What the check found.
        reason: String,
    },
}

/// The chunked form of a snapshot: a set of its own, and the sets of others that it refers to. These references are what
/// keeps a set; they stand in the record, so that they come and go with it in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkedForm {
    /// The set, named by the operation that made it.
    pub set: OperationId,
    /// The other sets whose packs it is made of: all of them, so that no chain has to be followed.
    pub needs: Vec<OperationId>,
    /// SHA-256 of its document.
    pub document_sha256: Sha256Hex,
    /// Size of its document.
    pub document_bytes: u64,
    /// Size of the packs that were made for it.
    pub new_bytes: u64,
    /// The name of the key that seals it.
    pub key_name: Option<String>,
}

impl ChunkedForm {
    /// Every set that it is made of, its own among them.
    pub fn sets(&self) -> impl Iterator<Item = &OperationId> {
        self.needs.iter().chain([&self.set])
    }
}

/// A snapshot, as the store holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// What it was taken of.
    pub origin: SnapshotOrigin,
    /// The address at which the source was reached, recorded for the contract.
    pub source_runtime_host: Option<Ipv4Addr>,
    /// Its files, the manifest among them.
    pub artifacts: Vec<SealedArtifact>,
    /// How long vCPUs stood still, in microseconds.
    pub pause_us: Option<u64>,
    /// How long guest processes were frozen, in microseconds.
    pub frozen_us: Option<u64>,
    /// Usable or not.
    pub state: SnapshotState,
    /// Whether it was taken for a fork alone: no caller sees it, and it goes when no child of the fork needs it.
    #[serde(default)]
    pub is_of_fork: bool,
    /// Its chunked form, once it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunked: Option<ChunkedForm>,
}

impl Snapshot {
    /// One that was just taken: what only its steps find out is not known yet.
    #[must_use]
    pub fn taken(origin: SnapshotOrigin, source_runtime_host: Option<Ipv4Addr>) -> Self {
        Self {
            origin,
            source_runtime_host,
            artifacts: vec![],
            pause_us: None,
            frozen_us: None,
            state: SnapshotState::Complete,
            is_of_fork: false,
            chunked: None,
        }
    }

    /// Bytes of data in all its files.
    pub fn data_bytes(&self) -> u64 {
        self.artifacts.iter().map(|artifact| artifact.data_bytes).sum()
    }
}
