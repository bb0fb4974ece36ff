//! The chunked form of a snapshot on its way to an object store and back.
//!
//! ```text
//! list the packs that are there -> ask the daemon for the form -> sign what is missing -> the daemon sends, in groups
//! the manifest after the packs -> chunked-index.json, last
//! ```
//! Trying again sends only what has not arrived: it lists what is there first. Packs lie beside all snapshots of a prefix,
//! so that they share them.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::chunked::{
    ChunkSnapshotRequest, ChunkedForm, ChunkedSource, PackDownload, PackUpload,
    UploadChunkedRequest,
};
use contract::client::Client;
use contract::id::SnapshotId;
use contract::restore::DurableSnapshot;
use contract::{PackId, Secret};
use serde::Serialize;

use super::chunked_index::ChunkedIndex;
use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::object_store::{BucketUrl, ObjectStore, StoreError};
use crate::progress::Progress;

/// Packs in one request: some 500 MB, so that an upload that breaks off has gone some way.
const GROUP: usize = 64;
const KEY_BYTES: usize = 32;

/// What was sent where.
#[derive(Debug, Serialize)]
pub(super) struct ShownChunkedUpload {
    snapshot_id: SnapshotId,
    bucket: String,
    index_key: String,
    packs: usize,
    sent_packs: u64,
    sent_bytes: u64,
}

impl fmt::Display for ShownChunkedUpload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { snapshot_id, packs, sent_packs, bucket, index_key, .. } = self;
        let size = ByteSize::from_bytes(self.sent_bytes);
        writeln!(
            formatter,
            "uploaded snapshot {snapshot_id}: {sent_packs} of {packs} packs, {size}"
        )?;
        write!(formatter, "its index is s3://{bucket}/{index_key}")
    }
}

/// Sends what is missing of the chunked form.
pub(super) async fn upload(
    client: &Client,
    store: &ObjectStore,
    bucket: &BucketUrl,
    snapshot: &SnapshotId,
    key: Secret,
) -> Result<ShownChunkedUpload, CliError> {
    let progress = Progress::start(format!("cutting {snapshot}"));
    let have = packs_in(store, bucket).await?;
    let form = client.chunk_snapshot(snapshot, &ChunkSnapshotRequest { have, key }).await?;
    let missing: Vec<&PackId> =
        form.packs.iter().filter(|pack| pack.missing).map(|pack| &pack.pack_id).collect();
    let (mut sent_packs, mut sent_bytes) = (0, 0);
    for group in requests(store, bucket, &form, &missing)? {
        progress.say(format!("uploading {snapshot}: {sent_packs} of {} packs", missing.len()));
        let sent = client.upload_chunked(snapshot, &group).await?;
        sent_packs += sent.packs;
        sent_bytes += sent.sent_bytes;
    }
    let answer = client.show_snapshot(snapshot).await?;
    let index = ChunkedIndex::of(&answer.snapshot, &form);
    let index_key = ChunkedIndex::key(bucket, snapshot);
    store.write(&index_key, index.encode().map_err(CliError::PrintJson)?).await?;
    drop(progress);
    Ok(ShownChunkedUpload {
        snapshot_id: snapshot.clone(),
        bucket: bucket.bucket().to_owned(),
        index_key,
        packs: form.packs.len(),
        sent_packs,
        sent_bytes,
    })
}

/// The packs that lie in the store already.
async fn packs_in(store: &ObjectStore, bucket: &BucketUrl) -> Result<Vec<PackId>, StoreError> {
    let prefix = bucket.packs_prefix();
    let keys = store.list(&prefix).await?;
    let name = |key: &String| key.strip_prefix(&prefix)?.strip_suffix(".pack")?.parse().ok();
    Ok(keys.iter().filter_map(name).collect())
}

/// Groups of packs with a fresh URL for each; the manifest goes with the last.
fn requests(
    store: &ObjectStore,
    bucket: &BucketUrl,
    form: &ChunkedForm,
    missing: &[&PackId],
) -> Result<Vec<UploadChunkedRequest>, StoreError> {
    let group = |packs: &[&PackId]| {
        let packs = packs.iter().map(|pack| {
            let upload_url = store.sign_write(&bucket.pack_key(pack))?;
            Ok(PackUpload { pack_id: (*pack).clone(), upload_url })
        });
        Ok(UploadChunkedRequest { packs: packs.collect::<Result<_, _>>()?, manifest_url: None })
    };
    let groups = missing.chunks(GROUP).map(group);
    let mut groups = groups.collect::<Result<Vec<_>, StoreError>>()?;
    let manifest = store.sign_write(&ChunkedIndex::manifest_key(bucket, &form.snapshot_id))?;
    match groups.last_mut() {
        Some(last) => last.manifest_url = Some(manifest),
        None => {
            groups.push(UploadChunkedRequest { packs: Vec::new(), manifest_url: Some(manifest) })
        }
    }
    Ok(groups)
}

/// What a restore is told of a chunked form in a store, and what its machine booted if that is known.
pub(super) async fn source(
    store: &ObjectStore,
    bucket: &BucketUrl,
    snapshot: &SnapshotId,
    key: Secret,
) -> Result<(DurableSnapshot, Option<contract::machine::ArtifactRef>), CliError> {
    let index_key = ChunkedIndex::key(bucket, snapshot);
    let bytes = store.read(&index_key).await.map_err(|error| {
        if error.is_absent() { StoreError::NoIndex { key: index_key.clone() } } else { error }
    })?;
    let index = ChunkedIndex::decode(&bytes, &index_key, snapshot)?;
    let packs = index.packs.into_iter().map(|pack_id| {
        let download_url = store.sign_read(&bucket.pack_key(&pack_id))?;
        Ok(PackDownload { pack_id, download_url })
    });
    let chunked = ChunkedSource {
        manifest_url: store.sign_read(&ChunkedIndex::manifest_key(bucket, snapshot))?,
        manifest_sha256_hex: index.manifest_sha256_hex,
        packs: packs.collect::<Result<_, StoreError>>()?,
        key,
    };
    let durable = DurableSnapshot {
        snapshot_id: Some(index.snapshot_id),
        machine_id: Some(index.machine_id),
        chunked: Some(Box::new(chunked)),
        ..DurableSnapshot::default()
    };
    Ok((durable, index.artifact))
}

/// The key in a file: 32 bytes, or their base64. A command line would show it to everybody.
pub(super) fn read_key(file: Option<&Path>) -> Result<Secret, CliError> {
    let Some(path) = file else { return Ok(Secret::default()) };
    let failed = |source| CliError::ReadKey { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    if bytes.len() == KEY_BYTES {
        return Ok(Secret::new(STANDARD.encode(bytes)));
    }
    let text = String::from_utf8(bytes).unwrap_or_default();
    match STANDARD.decode(text.trim()) {
        Ok(key) if key.len() == KEY_BYTES => Ok(Secret::new(text.trim())),
        _ => Err(CliError::WrongKey { path: path.to_owned() }),
    }
}
