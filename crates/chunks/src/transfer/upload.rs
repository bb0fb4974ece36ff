//! Upload of whole local files in parts, to pre-signed PUTs of multipart uploads.

use std::collections::{BTreeMap, HashMap};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::time::Instant;

use super::client::TransferClient;
use super::coverage::{Part, PartRequest, check_coverage};
use super::error::TransferError;
use super::progress::UploadProgress;
use super::send::MissingParts;
use super::tasks::blocking;
use crate::files;
use crate::names::ArtifactId;

/// One file to upload.
#[derive(Debug, Clone)]
pub struct ArtifactUpload {
    /// Which artifact it is.
    pub artifact: ArtifactId,
    /// The store's id of the multipart upload.
    pub upload_id: String,
    /// Where the file is. It must not change meanwhile.
    pub path: Utf8PathBuf,
    /// The parts, in any order.
    pub parts: Vec<PartRequest>,
}

/// A file that the store has every part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedArtifact {
    /// Which artifact it is.
    pub artifact: ArtifactId,
    /// Its parts, in part order.
    pub parts: Vec<UploadedPart>,
}

/// A part that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// Its number.
    pub part_number: u32,
    /// What the store answered, quotes and all.
    pub etag: String,
}

impl TransferClient {
    /// Uploads every part that `progress` does not know as finished, and answers the tags of all.
    ///
    /// Before the first byte is sent, the parts of every artifact must cover its file exactly. Then
    /// as [`send_parts`](Self::send_parts).
    pub async fn upload(
        &self,
        uploads: Vec<ArtifactUpload>,
        progress: &impl UploadProgress,
    ) -> Result<Vec<UploadedArtifact>, TransferError> {
        let deadline = self.deadline();
        self.until(deadline, self.upload_all(uploads, progress, deadline)).await
    }

    async fn upload_all(
        &self,
        uploads: Vec<ArtifactUpload>,
        progress: &impl UploadProgress,
        deadline: Instant,
    ) -> Result<Vec<UploadedArtifact>, TransferError> {
        let check = || uploads.into_iter().map(covered).collect::<Result<Vec<_>, _>>();
        let mut tags = HashMap::<_, BTreeMap<_, _>>::new();
        let (mut order, mut missing) = (Vec::new(), Vec::new());
        for wanted in blocking(check).await? {
            let (artifact, upload_id) = (wanted.artifact.clone(), wanted.upload_id.clone());
            let (known, rest) = recall(wanted, progress).await?;
            tags.entry((artifact.clone(), upload_id.clone())).or_default().extend(known);
            order.push((artifact, upload_id));
            missing.push(rest);
        }
        for part in self.send_all(missing, progress, deadline).await? {
            let key = (part.artifact, part.upload_id);
            tags.entry(key).or_default().insert(part.part_number, part.etag);
        }
        let uploaded = |key: (ArtifactId, String)| {
            let tags = tags.remove(&key).unwrap_or_default().into_iter();
            let parts = tags.map(|(part_number, etag)| UploadedPart { part_number, etag });
            UploadedArtifact { artifact: key.0, parts: parts.collect() }
        };
        Ok(order.into_iter().map(uploaded).collect())
    }
}

/// The parts of a file, once it is sure that they are all of it.
fn covered(upload: ArtifactUpload) -> Result<MissingParts, TransferError> {
    let ArtifactUpload { artifact, upload_id, path, parts } = upload;
    let size_bytes = size_of(&path)?;
    let parts = check_coverage(size_bytes, parts)
        .map_err(|source| TransferError::Coverage { artifact: artifact.clone(), source })?;
    Ok(MissingParts { artifact, upload_id, path, parts })
}

fn size_of(path: &Utf8Path) -> Result<u64, TransferError> {
    let file = files::open_regular(path).map_err(TransferError::local("open", path))?;
    Ok(file.metadata().map_err(TransferError::local("stat", path))?.len())
}

/// Divides parts into those that were finished before, by number with their tags, and the rest.
async fn recall(
    mut wanted: MissingParts,
    progress: &impl UploadProgress,
) -> Result<(BTreeMap<u32, String>, MissingParts), TransferError> {
    let finished = progress.recall(&wanted.artifact, &wanted.upload_id).await;
    let finished: HashMap<_, _> = finished
        .map_err(TransferError::Progress)?
        .into_iter()
        .filter(|part| part.artifact == wanted.artifact && part.upload_id == wanted.upload_id)
        .map(|part| ((part.part_number, part.offset_bytes, part.size_bytes), part.etag))
        .collect();
    let tag_of = |part: &Part| finished.get(&(part.number, part.offset_bytes, part.size_bytes));
    let known = |part: &Part| Some((part.number, tag_of(part)?.clone()));
    let tags = wanted.parts.iter().filter_map(known).collect();
    wanted.parts.retain(|part| tag_of(part).is_none());
    Ok((tags, wanted))
}
