//! Making a machine from a snapshot: one that this host has, or one that an object store keeps.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::artifact::SnapshotArtifact;
use crate::chunked::ChunkedSource;
use crate::forgiving;
use crate::id::{MachineId, SnapshotId};
use crate::lazy::{LazyRestore, Touched};
use crate::location::PresignedUrl;
use crate::machine::{ArtifactRef, GuestConfig};

/// A request for a new machine that goes on from a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WireRestore", into = "WireRestore")]
pub struct RestoreSnapshotRequest {
    /// The name of the new machine, chosen by the caller.
    pub machine_id: MachineId,
    /// What the machine boots when it is started anew later.
    pub artifact: ArtifactRef,
    /// The snapshot's own memory size, or nothing.
    pub memory_mib: Option<u64>,
    /// A larger size for the system disk.
    pub storage_bytes: Option<u64>,
    /// What the guest is told about itself.
    pub guest_config: Option<GuestConfig>,
    /// Where the snapshot is.
    pub source: RestoreSource,
    /// Whether to map the one sealed memory file privately, so that many clones share its pages.
    pub dense: bool,
    /// How far to verify a local snapshot.
    pub verify: Verify,
    /// Whether the machine runs before its memory and disks are here, and what helps it then.
    pub lazy: Option<LazyRestore>,
}

impl RestoreSnapshotRequest {
    /// A request for a machine of this name that is as the snapshot says.
    #[must_use]
    pub fn named(machine_id: MachineId, artifact: ArtifactRef, source: RestoreSource) -> Self {
        Self {
            machine_id,
            artifact,
            memory_mib: None,
            storage_bytes: None,
            guest_config: None,
            source,
            dense: false,
            verify: Verify::default(),
            lazy: None,
        }
    }
}

/// Where a snapshot is.
#[derive(Clone, Debug, PartialEq)]
pub enum RestoreSource {
    /// On this host.
    Local(LocalSnapshot),
    /// In an object store.
    Durable(DurableSnapshot),
}

impl RestoreSource {
    /// The id that the request names besides the one in its path; another one there is refused.
    #[must_use]
    pub fn snapshot_id(&self) -> Option<&SnapshotId> {
        match self {
            Self::Local(local) => Some(&local.snapshot_id),
            Self::Durable(durable) => durable.snapshot_id.as_ref(),
        }
    }
}

/// A snapshot that this host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocalSnapshot {
    /// Its name.
    pub snapshot_id: SnapshotId,
}

/// A snapshot that an object store keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DurableSnapshot {
    /// Its name.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub snapshot_id: Option<SnapshotId>,
    /// The machine it was taken of.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub machine_id: Option<MachineId>,
    /// The image of that machine, as the caller names it; recorded, never used.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub image_id: Option<String>,
    /// The address of that machine; recorded, never used.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_runtime_host: Option<String>,
    /// The tap of that machine; recorded, never used.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_tap_device: Option<String>,
    /// Its files, each with a `download_url`.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub artifacts: Vec<SnapshotArtifact>,
    /// Its chunked form, instead of the files.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub chunked: Option<Box<ChunkedSource>>,
}

/// How far a local snapshot is verified before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// That each file is the very one that was sealed.
    #[default]
    Sealed,
    /// Every byte.
    Full,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct WireRestore {
    /// The name of the new machine, chosen by the caller.
    machine_id: MachineId,
    /// What the machine boots when it is started anew later.
    artifact: ArtifactRef,
    /// The snapshot's own memory size; another one is refused.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    memory_mib: Option<u64>,
    /// A larger size for the system disk.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    storage_bytes: Option<u64>,
    /// What the guest is told about itself.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    guest_config: Option<GuestConfig>,
    /// The snapshot, when this host has it; exactly one of this and `snapshot` is given.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    local_snapshot: Option<LocalSnapshot>,
    /// The snapshot, when an object store keeps it.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    snapshot: Option<DurableSnapshot>,
    /// Whether to map the one sealed memory file privately, so that many clones share its pages.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    dense: bool,
    /// How far to verify a local snapshot.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    verify: Verify,
    /// Whether the machine runs before its memory and disks are here: they come when they are touched, and in the background.
    /// For the chunked form in an object store; a snapshot of this host has nothing to wait for.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    lazy: bool,
    /// For `lazy`: asked with `POST {"pack_ids": [...]}` when the store refuses a `download_url`, and answered with
    /// `{"packs": [{"pack_id", "download_url"}]}`.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    renewal_url: Option<PresignedUrl>,
    /// For `lazy`: what an earlier restore of this snapshot touched first; fetched in this order.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    working_set: Vec<Touched>,
}

/// A restore that names no snapshot, or two.
#[derive(Debug, thiserror::Error)]
#[error("exactly one of local_snapshot and snapshot says what to restore")]
struct SourceError;

impl TryFrom<WireRestore> for RestoreSnapshotRequest {
    type Error = SourceError;

    fn try_from(wire: WireRestore) -> Result<Self, SourceError> {
        let source = match (wire.local_snapshot, wire.snapshot) {
            (Some(local), None) => RestoreSource::Local(local),
            (None, Some(durable)) => RestoreSource::Durable(durable),
            (None, None) | (Some(_), Some(_)) => return Err(SourceError),
        };
        Ok(Self {
            machine_id: wire.machine_id,
            artifact: wire.artifact,
            memory_mib: wire.memory_mib,
            storage_bytes: wire.storage_bytes,
            guest_config: wire.guest_config,
            source,
            dense: wire.dense,
            verify: wire.verify,
            lazy: wire.lazy.then_some(LazyRestore {
                renewal_url: wire.renewal_url,
                working_set: wire.working_set,
            }),
        })
    }
}

impl From<RestoreSnapshotRequest> for WireRestore {
    fn from(request: RestoreSnapshotRequest) -> Self {
        let (local_snapshot, snapshot) = match request.source {
            RestoreSource::Local(local) => (Some(local), None),
            RestoreSource::Durable(durable) => (None, Some(durable)),
        };
        let is_lazy = request.lazy.is_some();
        let lazy = request.lazy.unwrap_or_default();
        Self {
            machine_id: request.machine_id,
            artifact: request.artifact,
            memory_mib: request.memory_mib,
            storage_bytes: request.storage_bytes,
            guest_config: request.guest_config,
            local_snapshot,
            snapshot,
            dense: request.dense,
            verify: request.verify,
            lazy: is_lazy,
            renewal_url: lazy.renewal_url,
            working_set: lazy.working_set,
        }
    }
}

impl PartialSchema for RestoreSnapshotRequest {
    fn schema() -> RefOr<Schema> {
        WireRestore::schema()
    }
}

impl ToSchema for RestoreSnapshotRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        WireRestore::schemas(schemas);
    }
}
