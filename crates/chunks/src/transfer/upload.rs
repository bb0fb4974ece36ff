//! Upload of local files in parts, to pre-signed PUTs of multipart uploads.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8PathBuf;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::client::TransferClient;
use super::coverage::{Part, PartRequest, check_coverage};
use super::error::TransferError;
use super::part::PartUpload;
use super::progress::{FinishedPart, UploadProgress};
use super::tasks::{blocking, on_tasks};
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
    /// Before the first byte is sent, the parts of every artifact must cover its file exactly. When
    /// a part fails for good, no further part is begun, those under way are finished and kept, and
    /// the first failure is answered.
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
        let mut sources =
            blocking(|| uploads.into_iter().map(Source::open).collect::<Result<Vec<_>, _>>())
                .await?;
        let mut missing = Vec::new();
        for (index, source) in sources.iter_mut().enumerate() {
            for part in source.recall(progress).await? {
                missing.push((index, source.part_upload(part, self, deadline)));
            }
        }
        let is_stopped = Arc::new(AtomicBool::new(false));
        let flag = is_stopped.clone();
        let jobs = missing.into_iter().take_while(move |_| !flag.load(Ordering::Relaxed)).map(
            |(index, upload)| async move {
                let etag = upload.run().await?;
                Ok((index, upload.part, etag))
            },
        );
        let mut results = pin!(on_tasks(jobs, self.limits().parallel_requests));
        let mut first_error = None;
        while let Some(result) = results.next().await {
            let kept = match result {
                Ok((index, part, etag)) => sources[index].keep(progress, part, etag).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                is_stopped.store(true, Ordering::Relaxed);
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(sources.into_iter().map(Source::into_uploaded).collect()),
        }
    }
}

/// An artifact on its way.
struct Source {
    artifact: ArtifactId,
    upload_id: String,
    path: Utf8PathBuf,
    file: Arc<File>,
    parts: Vec<Part>,
    /// By part number, so in part order.
    etags: BTreeMap<u32, String>,
}

impl Source {
    fn open(upload: ArtifactUpload) -> Result<Self, TransferError> {
        let ArtifactUpload { artifact, upload_id, path, parts } = upload;
        let file = files::open_regular(&path).map_err(TransferError::local("open", &path))?;
        let size_bytes = file.metadata().map_err(TransferError::local("stat", &path))?.len();
        let parts = check_coverage(size_bytes, parts)
            .map_err(|source| TransferError::Coverage { artifact: artifact.clone(), source })?;
        Ok(Self { artifact, upload_id, path, file: Arc::new(file), parts, etags: BTreeMap::new() })
    }

    /// Takes over what was finished before, and answers the parts that are missing.
    async fn recall(&mut self, progress: &impl UploadProgress) -> Result<Vec<Part>, TransferError> {
        let finished = progress
            .recall(&self.artifact, &self.upload_id)
            .await
            .map_err(TransferError::Progress)?;
        let finished: HashMap<_, _> = finished
            .into_iter()
            .filter(|part| part.artifact == self.artifact && part.upload_id == self.upload_id)
            .map(|part| ((part.part_number, part.offset_bytes, part.size_bytes), part.etag))
            .collect();
        let mut missing = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            match finished.get(&(part.number, part.offset_bytes, part.size_bytes)) {
                Some(etag) => drop(self.etags.insert(part.number, etag.clone())),
                None => missing.push(part),
            }
        }
        Ok(missing)
    }

    fn part_upload(&self, part: Part, client: &TransferClient, deadline: Instant) -> PartUpload {
        let (client, file, path) = (client.clone(), self.file.clone(), self.path.clone());
        PartUpload { client, file, path, part, deadline }
    }

    async fn keep(
        &mut self,
        progress: &impl UploadProgress,
        part: Part,
        etag: String,
    ) -> Result<(), TransferError> {
        let finished = FinishedPart {
            artifact: self.artifact.clone(),
            upload_id: self.upload_id.clone(),
            part_number: part.number,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
            etag: etag.clone(),
        };
        self.etags.insert(part.number, etag);
        progress.keep(finished).await.map_err(TransferError::Progress)
    }

    fn into_uploaded(self) -> UploadedArtifact {
        let parts =
            self.etags.into_iter().map(|(part_number, etag)| UploadedPart { part_number, etag });
        UploadedArtifact { artifact: self.artifact, parts: parts.collect() }
    }
}
