//! `chunked-index.json`: what the chunked form of a snapshot in an object store is. Written last.

use contract::chunked::ChunkedForm;
use contract::id::{MachineId, SnapshotId};
use contract::machine::ArtifactRef;
use contract::snapshot::Snapshot;
use contract::{PackId, Sha256Hex};
use serde::{Deserialize, Serialize};

use super::index;
use crate::object_store::{BucketUrl, StoreError};

const FILE_NAME: &str = "chunked-index.json";
const MANIFEST_NAME: &str = "chunked.json";
/// The version that this program writes, and the only one it reads.
const VERSION: u32 = 1;

/// The index of one chunked form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChunkedIndex {
    version: u32,
    pub(super) snapshot_id: SnapshotId,
    pub(super) machine_id: MachineId,
    /// What the machine booted, when that is known.
    pub(super) artifact: Option<ArtifactRef>,
    pub(super) manifest_sha256_hex: Sha256Hex,
    /// Every pack, those of earlier snapshots too.
    pub(super) packs: Vec<PackId>,
}

impl ChunkedIndex {
    pub(super) fn of(snapshot: &Snapshot, form: &ChunkedForm) -> Self {
        Self {
            version: VERSION,
            snapshot_id: snapshot.id.clone(),
            machine_id: snapshot.machine_id.clone(),
            artifact: snapshot.artifact.clone(),
            manifest_sha256_hex: form.manifest.sha256_hex.clone(),
            packs: form.packs.iter().map(|pack| pack.pack_id.clone()).collect(),
        }
    }

    /// Where the index of a snapshot is.
    pub(super) fn key(bucket: &BucketUrl, snapshot: &SnapshotId) -> String {
        bucket.key(snapshot, FILE_NAME)
    }

    /// Where the manifest of its form is.
    pub(super) fn manifest_key(bucket: &BucketUrl, snapshot: &SnapshotId) -> String {
        bucket.key(snapshot, MANIFEST_NAME)
    }

    /// The index as it is written.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Reads what was found at `key`. What is not understood whole is refused.
    pub(super) fn decode(
        bytes: &[u8],
        key: &str,
        snapshot: &SnapshotId,
    ) -> Result<Self, StoreError> {
        index::decode(bytes, key, snapshot, VERSION, |index: &Self| &index.snapshot_id)
    }
}
