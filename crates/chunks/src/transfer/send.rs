//! Sending parts that are known to be missing, a bounded number at once.

use std::fs::File;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8PathBuf;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::client::TransferClient;
use super::coverage::Part;
use super::error::TransferError;
use super::part::PartUpload;
use super::progress::{FinishedPart, KeepPart};
use super::tasks::{blocking, on_tasks};
use crate::files;
use crate::names::ArtifactId;

/// Parts of one file that the store does not have yet.
#[derive(Debug, Clone)]
pub struct MissingParts {
    /// Which artifact it is.
    pub artifact: ArtifactId,
    /// The store's id of the multipart upload.
    pub upload_id: String,
    /// Where the file is. It must not change meanwhile.
    pub path: Utf8PathBuf,
    /// The parts, as [`check_coverage`](super::check_coverage) answers them or as checked elsewhere.
    pub parts: Vec<Part>,
}

impl TransferClient {
    /// Sends these parts and no others, and answers them with their tags, in the order in which
    /// they finished. Whether they complete a file is not looked at: that was decided before.
    ///
    /// When a part fails for good, no further part is begun, those under way are finished and kept,
    /// and the first failure is answered.
    pub async fn send_parts(
        &self,
        missing: Vec<MissingParts>,
        keeper: &impl KeepPart,
    ) -> Result<Vec<FinishedPart>, TransferError> {
        let deadline = self.deadline();
        self.until(deadline, self.send_all(missing, keeper, deadline)).await
    }

    pub(super) async fn send_all(
        &self,
        missing: Vec<MissingParts>,
        keeper: &impl KeepPart,
        deadline: Instant,
    ) -> Result<Vec<FinishedPart>, TransferError> {
        let open = || missing.into_iter().map(Source::open).collect::<Result<Vec<_>, _>>();
        let sources = blocking(open).await?;
        let uploads: Vec<_> =
            sources.into_iter().flat_map(|source| source.uploads(self, deadline)).collect();
        let is_stopped = AtomicBool::new(false);
        let jobs = uploads.into_iter().take_while(|_| !is_stopped.load(Ordering::Relaxed)).map(
            |(upload, key)| async move { Ok(FinishedPart { etag: upload.run().await?, ..key }) },
        );
        let mut results = pin!(on_tasks(jobs, self.limits().parallel_requests));
        let mut finished = Vec::new();
        let mut first_error = None;
        while let Some(result) = results.next().await {
            let kept = match result {
                Ok(part) => keep(keeper, part).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(part) => finished.push(part),
                Err(error) => {
                    is_stopped.store(true, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(finished), Err)
    }
}

async fn keep(keeper: &impl KeepPart, part: FinishedPart) -> Result<FinishedPart, TransferError> {
    keeper.keep(&part).await.map_err(TransferError::Progress)?;
    Ok(part)
}

/// A file on its way.
struct Source {
    missing: MissingParts,
    file: Arc<File>,
}

impl Source {
    fn open(missing: MissingParts) -> Result<Self, TransferError> {
        let path = &missing.path;
        let file = files::open_regular(path).map_err(TransferError::local("open", path))?;
        Ok(Self { missing, file: Arc::new(file) })
    }

    /// What is to be sent, each with what it will be once it has its tag.
    fn uploads(
        self,
        client: &TransferClient,
        deadline: Instant,
    ) -> Vec<(PartUpload, FinishedPart)> {
        let Self { missing: MissingParts { artifact, upload_id, path, parts }, file } = self;
        let upload = |part: Part| {
            let key = FinishedPart {
                artifact: artifact.clone(),
                upload_id: upload_id.clone(),
                part_number: part.number,
                offset_bytes: part.offset_bytes,
                size_bytes: part.size_bytes,
                etag: String::new(),
            };
            let (client, file, path) = (client.clone(), file.clone(), path.clone());
            (PartUpload { client, file, path, part, deadline }, key)
        };
        parts.into_iter().map(upload).collect()
    }
}
