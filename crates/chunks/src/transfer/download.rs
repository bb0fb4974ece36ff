//! Download of one artifact in parallel ranges, every byte verified before the file has its name
//! (promise P6).

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use camino::Utf8Path;
use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::TransferClient;
use super::error::TransferError;
use super::range::RangeDownload;
use super::ranges::plan_ranges;
use super::scratch::{Durability, Scratch};
use super::tasks::{blocking, on_tasks};
use super::url::SecretUrl;
use crate::digest::Sha256Digest;
use crate::files::{self, Extent};
use crate::limits::SealLimits;
use crate::manifest::{ChunkMap, FileEntry};

/// Private to this process's user until the caller hands it on.
const DOWNLOADED_MODE: u32 = 0o600;
/// The grain of a download that has no chunks of its own.
const UNCHUNKED_BYTES: u32 = 1024 * 1024;

/// What an object must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// What a manifest says: each chunk is verified before it is written, holes are not fetched,
    /// and a repeated download keeps what an earlier one verified.
    Chunks(FileEntry),
    /// Only size and SHA-256 are known: the whole is verified once it is there, and a repeated
    /// download starts anew.
    Whole {
        /// Its exact size.
        size_bytes: u64,
        /// Its digest.
        sha256: Sha256Digest,
    },
}

/// What a download did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Size of the file.
    pub size_bytes: u64,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
    /// Bytes that an earlier download had left, verified again.
    pub reused_bytes: u64,
}

/// How an object divides into chunks, and what they must be if that is known.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) size_bytes: u64,
    pub(super) chunk_bytes: u32,
    pub(super) digests: Option<ChunkMap>,
}

impl Layout {
    fn of(expected: &Expected) -> Self {
        match expected {
            Expected::Chunks(entry) => Self {
                size_bytes: entry.size_bytes(),
                chunk_bytes: entry.chunk_bytes(),
                digests: Some(entry.chunks().clone()),
            },
            Expected::Whole { size_bytes, .. } => {
                Self { size_bytes: *size_bytes, chunk_bytes: UNCHUNKED_BYTES, digests: None }
            }
        }
    }

    /// Where a chunk lies.
    pub(super) fn extent(&self, chunk: u64) -> Extent {
        let offset_bytes = chunk.saturating_mul(u64::from(self.chunk_bytes)).min(self.size_bytes);
        let length_bytes = u64::from(self.chunk_bytes).min(self.size_bytes - offset_bytes);
        Extent { offset_bytes, length_bytes }
    }

    /// The chunks to fetch when none is there.
    fn wanted(&self) -> Vec<u64> {
        match &self.digests {
            Some(digests) => digests.iter().map(|(chunk, _)| chunk).collect(),
            None => (0..self.size_bytes.div_ceil(u64::from(self.chunk_bytes))).collect(),
        }
    }

    fn plan(&self, missing: &[u64], range_bytes: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        plan_ranges(missing.iter().copied(), self.chunk_bytes, range_bytes).into_iter()
    }

    fn bytes_in(&self, chunks: &[u64]) -> u64 {
        chunks.iter().map(|chunk| self.extent(*chunk).length_bytes).sum()
    }
}

impl TransferClient {
    /// Downloads an object to `target`, which must not exist, with mode 0600.
    ///
    /// It grows in `<target>.part`. After a failure that file stays, so that the same call can go
    /// on, unless its content is known to be bad; whoever gives up removes it (with the directory
    /// it is in).
    pub async fn download(
        &self,
        url: &SecretUrl,
        expected: &Expected,
        target: &Utf8Path,
        durability: Durability,
    ) -> Result<Downloaded, TransferError> {
        let deadline = self.deadline();
        let call = async {
            let (scratch, kept) = prepare(target, expected, durability).await?;
            self.fill(url, expected, scratch, kept, deadline).await
        };
        self.until(deadline, call).await
    }

    /// Fetches what the scratch file has not kept, and gives it its name.
    async fn fill(
        &self,
        url: &SecretUrl,
        expected: &Expected,
        scratch: Arc<Scratch>,
        kept: Vec<u64>,
        deadline: Instant,
    ) -> Result<Downloaded, TransferError> {
        let layout = Arc::new(Layout::of(expected));
        let mut missing = layout.wanted();
        missing.retain(|chunk| kept.binary_search(chunk).is_err());
        let range = |chunks| RangeDownload {
            client: self.clone(),
            url: url.clone(),
            layout: layout.clone(),
            scratch: scratch.clone(),
            chunks,
            deadline,
            writing: None,
        };
        self.fetch_ranges(layout.plan(&missing, self.limits().range_bytes).map(range)).await?;
        let (url, expected) = (url.clone(), expected.clone());
        cancelled_with_caller(move |cancel| accept(&scratch, &url, &expected, &cancel)).await?;
        Ok(Downloaded {
            size_bytes: layout.size_bytes,
            fetched_bytes: layout.bytes_in(&missing),
            reused_bytes: layout.bytes_in(&kept),
        })
    }

    async fn fetch_ranges(
        &self,
        ranges: impl Iterator<Item = RangeDownload>,
    ) -> Result<(), TransferError> {
        let jobs = ranges.map(RangeDownload::run);
        let mut results = pin!(on_tasks(jobs, self.limits().parallel_requests));
        while let Some(result) = results.next().await {
            result?;
        }
        Ok(())
    }
}

/// Opens the scratch file and finds which chunks it has already.
async fn prepare(
    target: &Utf8Path,
    expected: &Expected,
    durability: Durability,
) -> Result<(Arc<Scratch>, Vec<u64>), TransferError> {
    let (target, expected) = (target.to_owned(), expected.clone());
    blocking(move || {
        let scratch = Scratch::open(&target, durability)?;
        let kept = match &expected {
            Expected::Chunks(entry) => scratch.reuse(entry, SealLimits::default().threads)?,
            Expected::Whole { size_bytes, .. } => {
                scratch.clear(*size_bytes)?;
                Vec::new()
            }
        };
        Ok((Arc::new(scratch), kept))
    })
    .await
}

/// Gives the file its name, once what can only be verified as a whole is verified.
fn accept(
    scratch: &Scratch,
    url: &SecretUrl,
    expected: &Expected,
    cancel: &CancellationToken,
) -> Result<(), TransferError> {
    if let Expected::Whole { sha256, .. } = expected {
        let (found, _) = files::sha256_file(scratch.path(), cancel)?;
        if found != *sha256 {
            scratch.discard();
            return Err(TransferError::CorruptArtifact {
                url: url.clone(),
                expected: *sha256,
                found,
            });
        }
    }
    scratch.finish(DOWNLOADED_MODE)
}

/// Runs blocking work that takes long, and cancels it when the caller goes away.
async fn cancelled_with_caller(
    work: impl FnOnce(CancellationToken) -> Result<(), TransferError> + Send + 'static,
) -> Result<(), TransferError> {
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    let outcome = blocking(move || work(cancel)).await;
    drop(guard);
    outcome
}
