//! One fetching of chunks: their spans of packs, verified whole before a byte of them is kept.

use std::sync::Arc;
use std::time::Duration;

use chunks::chunked::{ChunkedError, FetchedSpans, FormDocument, FormFile, FormReader, Span};
use chunks::{ArtifactId, PackId, TransferClient, TransferError};
use futures_util::future::try_join_all;
use tokio::time::Instant;
use tracing::warn;

use crate::file::LazyFile;
use crate::order::Run;
use crate::packs::Packs;

/// How often something other than what was stored is asked for again.
const WRONG_ATTEMPTS: u32 = 3;
/// The pause before that.
const WRONG_PAUSE: Duration = Duration::from_millis(200);
/// Bytes of no use that are read along, when that saves a request: what 20 ms bring on a fast line.
const GAP_BYTES: u64 = 256 * 1024;
/// The longest span: many together fill a line better than a long one.
const SPAN_BYTES: u64 = 4 * 1024 * 1024;

/// A file with what it is filled from.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub file: Arc<LazyFile>,
    /// Which of the document's files it is.
    pub artifact: ArtifactId,
}

/// A chunk that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store gave it not.
    #[error("fetch chunks {first} to {last} of {file}")]
    Transfer {
        /// Of which file.
        file: String,
        /// The first chunk.
        first: u64,
        /// The last chunk.
        last: u64,
        /// Why.
        source: Box<TransferError>,
    },
    /// What came is not what was stored, or could not be kept.
    #[error("verify and keep chunks {first} to {last} of {file}")]
    Chunk {
        /// Of which file.
        file: String,
        /// The first chunk.
        first: u64,
        /// The last chunk.
        last: u64,
        /// Why.
        source: Box<ChunkedError>,
    },
    /// No URL is known for a pack.
    #[error("find a URL for pack {0}")]
    NoUrl(PackId),
    /// It did not come in time.
    #[error("chunks of {file} did not come within {deadline:?}")]
    Deadline {
        /// Of which file.
        file: String,
        /// The longest wait.
        deadline: Duration,
    },
}

/// What every fetching shares.
#[derive(Debug)]
pub struct Origin {
    /// The client of the store.
    pub client: TransferClient,
    /// Says where each chunk is.
    pub document: Arc<FormDocument>,
    /// Where the packs are.
    pub packs: Packs,
}

impl Origin {
    /// Fetches neighbouring chunks into their file; what is wrong is asked for again a few times.
    pub(crate) async fn fetch(
        &self,
        source: &Source,
        run: &Run,
        until: Instant,
    ) -> Result<(), FetchError> {
        let mut wrong = 0;
        loop {
            let outcome = self.fetch_once(source, run, until).await;
            let Err(error) = outcome else { return Ok(()) };
            wrong += 1;
            if wrong >= WRONG_ATTEMPTS || Instant::now() + WRONG_PAUSE >= until {
                return Err(error);
            }
            warn!(file = source.file.name, error = crate::file_system::chain(&error), wrong);
            tokio::time::sleep(WRONG_PAUSE).await;
        }
    }

    async fn fetch_once(
        &self,
        source: &Source,
        run: &Run,
        until: Instant,
    ) -> Result<(), FetchError> {
        let (first, last) = (run.chunks.start, run.chunks.end.saturating_sub(1));
        let name = || source.file.name.clone();
        let chunk = |error: ChunkedError| FetchError::Chunk {
            file: name(),
            first,
            last,
            source: Box::new(error),
        };
        let file = self.document.file(&source.artifact);
        let file = file.ok_or_else(|| chunk(ChunkedError::NoFile(source.artifact.clone())))?;
        let wanted = run.chunks.clone().filter_map(|at| file.chunk_at(at));
        let spans = self.document.spans(wanted, GAP_BYTES, SPAN_BYTES);
        let transfer =
            |error| FetchError::Transfer { file: name(), first, last, source: Box::new(error) };
        let fetched = try_join_all(spans.iter().map(|span| async move {
            let bytes = self.span(span, until).await?;
            Ok((span, bytes))
        }));
        let fetched = fetched.await.map_err(|error| match error {
            SpanError::NoUrl(pack) => FetchError::NoUrl(pack),
            SpanError::Transfer(error) => transfer(error),
        })?;
        let mut here = FetchedSpans::default();
        for (span, bytes) in fetched {
            here.add(span, bytes);
        }
        let (document, file) = (Arc::clone(&self.document), file.clone());
        let (target, chunks) = (Arc::clone(&source.file), run.chunks.clone());
        let kept =
            tokio::task::spawn_blocking(move || keep(&document, &file, &here, &target, chunks));
        kept.await.map_err(|error| transfer(error.into()))?.map_err(chunk)
    }

    async fn span(&self, span: &Span, until: Instant) -> Result<Vec<u8>, SpanError> {
        loop {
            let url = self.packs.url(&span.pack).ok_or(SpanError::NoUrl(span.pack))?;
            let range = span.bytes.clone();
            match self.client.fetch_span(&url, span.pack_bytes, range, until).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) if is_refusal(&error) && Instant::now() < until => {
                    if !self.packs.renew(&span.pack, &url).await {
                        return Err(SpanError::Transfer(error));
                    }
                }
                Err(error) => return Err(SpanError::Transfer(error)),
            }
        }
    }
}

enum SpanError {
    NoUrl(PackId),
    Transfer(TransferError),
}

/// Verifies each chunk and only then writes it. Blocks.
fn keep(
    document: &FormDocument,
    file: &FormFile,
    here: &FetchedSpans,
    target: &LazyFile,
    chunks: std::ops::Range<u64>,
) -> Result<(), ChunkedError> {
    let reader = FormReader::new(document, here, None)?;
    for at in chunks {
        let Some(bytes) = reader.chunk_at(file, at)? else { continue };
        target.fill(at, &bytes).map_err(|source| ChunkedError::Io {
            operation: "fill",
            path: target.name.as_str().into(),
            source,
        })?;
    }
    Ok(())
}

/// Whether a store would answer another URL: what an expired signature gets, 400 from some.
fn is_refusal(error: &TransferError) -> bool {
    match error {
        TransferError::Refused { status, .. } => matches!(status, 400 | 401 | 403),
        TransferError::GaveUp { source, .. } => is_refusal(source),
        _ => false,
    }
}
