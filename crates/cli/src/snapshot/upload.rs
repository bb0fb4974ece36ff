//! `computer snapshot upload`: send a snapshot to an object store.
//!
//! ```text
//! wait for the digests -> begin a multipart upload per file -> sign the parts -> the daemon sends them
//!                                                                 ^---- again, with fresh URLs ----'
//! complete each -> write snapshot.json, last
//! ```
//! The daemon keeps what it sent under the id of each multipart upload, so trying again sends only what is missing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use contract::client::{Client, ClientError};
use contract::id::SnapshotId;
use contract::snapshot::SnapshotAnswer;
use contract::upload::{ArtifactUpload, UploadPart, UploadSnapshotRequest, UploadedArtifact};
use serde::Serialize;
use tokio::time::Instant;

use super::chunked::{self, ShownChunkedUpload};
use super::index::{IndexedFile, SnapshotIndex};
use super::parts::cut;
use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::object_store::{BucketUrl, MultipartUpload, ObjectStore, StoreArguments, StoreError};
use crate::progress::Progress;

/// For how long the digests of a snapshot are waited for.
const DIGESTS_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How often they are looked for.
const DIGESTS_PAUSE: Duration = Duration::from_millis(500);
/// How often the daemon is asked to send.
const TRIES: usize = 3;
/// How long to wait before it is asked again.
const TRY_PAUSE: Duration = Duration::from_secs(2);

/// Which snapshot, and where it goes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer snapshot upload box.before --bucket s3://backups/boxes --region eu-central-1
  computer snapshot upload box.before --bucket s3://backups --endpoint http://127.0.0.1:9000
  computer snapshot upload box.after --bucket s3://backups --chunked

The files go to PREFIX/SNAPSHOT/, with an index, snapshot.json, beside them.
This program signs; the daemon sends, and never sees the credentials.")]
pub(crate) struct UploadArguments {
    /// The snapshot.
    pub(crate) snapshot: SnapshotId,
    /// Send its chunked form: only what the store does not have from earlier snapshots.
    #[arg(long)]
    pub(crate) chunked: bool,
    /// A file with the key that seals the chunked form: 32 bytes, or their base64.
    #[arg(long, value_name = "PATH", requires = "chunked")]
    pub(crate) key_file: Option<PathBuf>,
    /// Where it goes.
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// What was sent where.
#[derive(Debug, Serialize)]
pub(super) struct ShownUpload {
    snapshot_id: SnapshotId,
    bucket: String,
    index_key: String,
    size_bytes: u64,
    files: Vec<IndexedFile>,
}

impl fmt::Display for ShownUpload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = ByteSize::from_bytes(self.size_bytes);
        let count = self.files.len();
        writeln!(formatter, "uploaded snapshot {}: {count} files, {size}", self.snapshot_id)?;
        write!(formatter, "its index is s3://{}/{}", self.bucket, self.index_key)
    }
}

/// Sends the chunked form of a snapshot to an object store.
pub(super) async fn upload_chunked(
    client: &Client,
    arguments: &UploadArguments,
) -> Result<ShownChunkedUpload, CliError> {
    let bucket = &arguments.store.bucket;
    let key = chunked::read_key(arguments.key_file.as_deref())?;
    let store = ObjectStore::open(&arguments.store.settings, bucket)?;
    chunked::upload(client, &store, bucket, &arguments.snapshot, key).await
}

/// Sends a snapshot to an object store.
pub(super) async fn upload(
    client: &Client,
    arguments: &UploadArguments,
) -> Result<ShownUpload, CliError> {
    let bucket = &arguments.store.bucket;
    let store = ObjectStore::open(&arguments.store.settings, bucket)?;
    let progress = Progress::start(format!("waiting for the digests of {}", arguments.snapshot));
    let index = finished_index(client, &arguments.snapshot, bucket).await?;
    let size_bytes = index.files.iter().map(|file| file.size_bytes).sum();
    progress.say(format!(
        "uploading {} ({})",
        arguments.snapshot,
        ByteSize::from_bytes(size_bytes)
    ));

    let mut uploads = Vec::new();
    let sent = send(client, &store, &index, &mut uploads).await;
    if sent.is_err() {
        give_up(&store, &uploads).await;
    }
    sent?;

    let index_key = SnapshotIndex::key(bucket, &index.snapshot_id);
    store.write(&index_key, index.encode().map_err(CliError::PrintJson)?).await?;
    drop(progress);
    Ok(ShownUpload {
        snapshot_id: index.snapshot_id,
        bucket: bucket.bucket().to_owned(),
        index_key,
        size_bytes,
        files: index.files,
    })
}

/// Waits until every file has its digest.
async fn finished_index(
    client: &Client,
    snapshot: &SnapshotId,
    bucket: &BucketUrl,
) -> Result<SnapshotIndex, CliError> {
    let deadline = Instant::now() + DIGESTS_DEADLINE;
    loop {
        let answer: SnapshotAnswer = client.show_snapshot(snapshot).await?;
        if let Some(index) = SnapshotIndex::of(&answer, bucket) {
            return Ok(index);
        }
        if Instant::now() >= deadline {
            let snapshot = snapshot.clone();
            return Err(CliError::DigestsMissing { snapshot, after: DIGESTS_DEADLINE });
        }
        tokio::time::sleep(DIGESTS_PAUSE).await;
    }
}

/// Sends the files. What was begun is in `uploads`, also when this fails.
async fn send(
    client: &Client,
    store: &ObjectStore,
    index: &SnapshotIndex,
    uploads: &mut Vec<MultipartUpload>,
) -> Result<(), CliError> {
    for file in &index.files {
        uploads.push(store.begin(file.object_key.clone()).await?);
    }
    let mut tries = 1;
    let uploaded = loop {
        let request = request(store, index, uploads)?;
        match client.upload_snapshot(&index.snapshot_id, &request).await {
            Err(error) if tries < TRIES && may_pass(&error) => tries += 1,
            settled => break settled?,
        }
        tokio::time::sleep(TRY_PAUSE).await;
    };
    for (upload, etags) in uploads.iter().zip(etags(index, &uploaded)?) {
        store.complete(upload, &etags).await?;
    }
    Ok(())
}

/// Whether the daemon may do better when asked again.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. } | ClientError::Transport { .. } => true,
        ClientError::Refused(refusal) => matches!(refusal.status.as_u16(), 429 | 502..=504),
        _ => false,
    }
}

/// Each file in parts, with a fresh URL for each.
fn request(
    store: &ObjectStore,
    index: &SnapshotIndex,
    uploads: &[MultipartUpload],
) -> Result<UploadSnapshotRequest, StoreError> {
    let artifact = |(file, upload): (&IndexedFile, &MultipartUpload)| {
        let parts = cut(file.size_bytes).into_iter().map(|part| {
            Ok(UploadPart {
                part_number: part.number.into(),
                offset_bytes: part.offset_bytes,
                size_bytes: part.size_bytes,
                upload_url: store.sign_part(upload, part.number)?,
            })
        });
        Ok(ArtifactUpload {
            artifact_id: file.artifact_id,
            object_key: upload.key.clone(),
            upload_id: upload.upload_id.clone(),
            parts: parts.collect::<Result<_, StoreError>>()?,
        })
    };
    let artifacts = index.files.iter().zip(uploads).map(artifact).collect::<Result<_, _>>()?;
    Ok(UploadSnapshotRequest { artifacts })
}

/// The etags of each file's parts in order; an answer that does not cover every part of every file is refused.
fn etags(
    index: &SnapshotIndex,
    uploaded: &[UploadedArtifact],
) -> Result<Vec<Vec<String>>, CliError> {
    let of_file = |file: &IndexedFile| {
        let artifact = uploaded.iter().find(|artifact| artifact.artifact_id == file.artifact_id)?;
        let numbers = artifact.completed_parts.iter().map(|part| part.part_number);
        let expected = cut(file.size_bytes).into_iter().map(|part| u32::from(part.number));
        let etags = artifact.completed_parts.iter().map(|part| part.etag.clone());
        numbers.eq(expected).then(|| etags.collect())
    };
    index.files.iter().map(of_file).collect::<Option<_>>().ok_or(CliError::UploadAnswer)
}

/// Gives begun uploads up. What cannot be given up is told: its parts take room in the store.
async fn give_up(store: &ObjectStore, uploads: &[MultipartUpload]) {
    for upload in uploads {
        if let Err(error) = store.abort(upload).await {
            eprintln!("computer: a part of {} may be left in the store: {error}", upload.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index() -> SnapshotIndex {
        let answer = json!({
            "snapshot": {"id": "s.1", "machine_id": "box", "created_at": "2026-11-24T23:17:00Z"},
            "artifacts": [
                {"id": "memory", "size_bytes": 20 << 20, "sha256_hex": "a".repeat(64)},
                {"id": "manifest", "size_bytes": 812, "sha256_hex": "b".repeat(64)},
            ],
        });
        let bucket = "s3://bucket/boxes".parse().unwrap();
        SnapshotIndex::of(&serde_json::from_value(answer).unwrap(), &bucket).unwrap()
    }

    fn uploaded(memory_parts: &[u32]) -> Vec<UploadedArtifact> {
        let parts = |numbers: &[u32]| -> Vec<_> {
            numbers
                .iter()
                .map(|number| json!({"part_number": number, "etag": format!("e{number}")}))
                .collect()
        };
        serde_json::from_value(json!([
            {"artifact_id": "manifest", "completed_parts": parts(&[1])},
            {"artifact_id": "memory", "completed_parts": parts(memory_parts)},
        ]))
        .unwrap()
    }

    #[test]
    fn etags_are_taken_file_by_file_in_the_order_of_the_parts() {
        let etags = etags(&index(), &uploaded(&[1, 2, 3])).unwrap();
        assert_eq!(etags, [vec!["e1", "e2", "e3"], vec!["e1"]]);
    }

    #[test]
    fn promise_p12_an_answer_that_misses_a_part_is_refused() {
        for parts in [&[1, 2][..], &[1, 3, 2], &[1, 2, 2], &[1, 2, 3, 4], &[]] {
            assert!(
                matches!(etags(&index(), &uploaded(parts)), Err(CliError::UploadAnswer)),
                "{parts:?}"
            );
        }
        assert!(matches!(etags(&index(), &[]), Err(CliError::UploadAnswer)));
    }
}
