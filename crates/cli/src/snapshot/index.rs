//! `snapshot.json`: what a snapshot in an object store is, for a restore by someone without a control plane.
//!
//! It is written last, so that a snapshot is there with its index or not at all. It holds digests of every file, which the
//! restoring daemon verifies; the manifest among them holds the rest.

use contract::digest::Sha256Hex;
use contract::id::{MachineId, SnapshotId};
use contract::machine::ArtifactRef;
use contract::snapshot::SnapshotAnswer;
use contract::{ArtifactId, SnapshotArtifact};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::object_store::{BucketUrl, StoreError};

/// The name of the index beside the files of a snapshot.
const FILE_NAME: &str = "snapshot.json";
/// The version that this program writes, and the only one it reads.
const VERSION: u32 = 1;

/// The index of one snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotIndex {
    version: u32,
    pub(super) snapshot_id: SnapshotId,
    pub(super) machine_id: MachineId,
    pub(super) created_at: Timestamp,
    pub(super) source_runtime_host: String,
    pub(super) source_tap_device: String,
    /// What the machine booted, when that is known.
    pub(super) artifact: Option<ArtifactRef>,
    pub(super) files: Vec<IndexedFile>,
}

/// One file of a snapshot in an object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexedFile {
    pub(super) artifact_id: ArtifactId,
    pub(super) size_bytes: u64,
    pub(super) sha256_hex: Sha256Hex,
    pub(super) object_key: String,
}

/// Only the version, to refuse others before anything else is read.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl SnapshotIndex {
    /// The index of a snapshot whose files go to `bucket`; `None` while a digest is not known.
    pub(super) fn of(answer: &SnapshotAnswer, bucket: &BucketUrl) -> Option<Self> {
        let snapshot = &answer.snapshot;
        let file = |artifact: &SnapshotArtifact| {
            Some(IndexedFile {
                artifact_id: artifact.id,
                size_bytes: artifact.size_bytes,
                sha256_hex: artifact.sha256_hex.clone()?,
                object_key: bucket.key(&snapshot.id, &artifact.id.file_name()),
            })
        };
        Some(Self {
            version: VERSION,
            snapshot_id: snapshot.id.clone(),
            machine_id: snapshot.machine_id.clone(),
            created_at: snapshot.created_at,
            source_runtime_host: snapshot.source_runtime_host.clone(),
            source_tap_device: snapshot.source_tap_device.clone(),
            artifact: snapshot.artifact.clone(),
            files: answer.artifacts.iter().map(file).collect::<Option<_>>()?,
        })
    }

    /// Where the index of a snapshot is.
    pub(super) fn key(bucket: &BucketUrl, snapshot: &SnapshotId) -> String {
        bucket.key(snapshot, FILE_NAME)
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
        decode(bytes, key, snapshot, VERSION, |index: &Self| &index.snapshot_id)
    }
}

/// Reads the index of a snapshot, whose name `of` tells, in the one version that this program reads.
pub(super) fn decode<Index: DeserializeOwned>(
    bytes: &[u8],
    key: &str,
    snapshot: &SnapshotId,
    wanted: u32,
    of: impl Fn(&Index) -> &SnapshotId,
) -> Result<Index, StoreError> {
    let unreadable = |source| StoreError::Index { key: key.to_owned(), source };
    let wrong = |reason| StoreError::WrongIndex { key: key.to_owned(), reason };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if version != wanted {
        return Err(wrong(format!(
            "it is of version {version}, and this program reads version {wanted}"
        )));
    }
    let index = serde_json::from_slice(bytes).map_err(unreadable)?;
    if of(&index) != snapshot {
        return Err(wrong(format!("it is of snapshot {}", of(&index))));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GOLDEN: &str = include_str!("golden/index-v1.json");

    fn bucket() -> BucketUrl {
        "s3://bucket/boxes".parse().unwrap()
    }

    fn answer() -> SnapshotAnswer {
        serde_json::from_value(json!({
            "snapshot": {
                "id": "s.1", "machine_id": "box", "created_at": "2026-11-24T23:17:00Z",
                "source_runtime_host": "10.0.0.2", "source_tap_device": "tap0",
                "artifact": {
                    "kernel_image_url": "file:///images/default/kernel", "rootfs_url": "file:///images/default/root.img",
                    "rootfs_sha256_hex": "c".repeat(64),
                },
            },
            "artifacts": [
                {"id": "memory", "size_bytes": 536_870_912, "sha256_hex": "a".repeat(64)},
                {"id": "manifest", "size_bytes": 812, "sha256_hex": "b".repeat(64)},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_index_is_written_and_read_as_the_golden_file() {
        let index = SnapshotIndex::of(&answer(), &bucket()).unwrap();
        assert_eq!(String::from_utf8(index.encode().unwrap()).unwrap(), GOLDEN.trim_end());
        let read =
            SnapshotIndex::decode(GOLDEN.as_bytes(), "key", &"s.1".parse().unwrap()).unwrap();
        assert_eq!(read, index);
    }

    #[test]
    fn promise_p6_there_is_no_index_without_every_digest() {
        let mut answer = answer();
        answer.artifacts[0].sha256_hex = None;
        assert_eq!(SnapshotIndex::of(&answer, &bucket()), None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refuse = |text: String| {
            SnapshotIndex::decode(text.as_bytes(), "key", &"s.1".parse().unwrap()).unwrap_err()
        };
        assert!(matches!(refuse(String::new()), StoreError::Index { .. }));
        assert!(matches!(
            refuse(GOLDEN.replace("\"files\"", "\"fields\"")),
            StoreError::Index { .. }
        ));
        assert!(matches!(
            refuse(GOLDEN.replace("\"memory\"", "\"../memory\"")),
            StoreError::Index { .. }
        ));
        assert!(matches!(
            refuse(GOLDEN.replace("\"version\": 1", "\"version\": 2")),
            StoreError::WrongIndex { .. }
        ));
        assert!(matches!(
            refuse(GOLDEN.replace("s.1\",", "s.2\",")),
            StoreError::WrongIndex { .. }
        ));
    }

    #[test]
    fn the_index_is_beside_the_files() {
        assert_eq!(
            SnapshotIndex::key(&bucket(), &"s.1".parse().unwrap()),
            "boxes/s.1/snapshot.json"
        );
    }
}
