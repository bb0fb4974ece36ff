//! One range of a download: GET it, verify chunk by chunk, go on after the last good chunk when it
//! breaks.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use reqwest::Response;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::TransferClient;
use super::content_range::ContentRange;
use super::download::Layout;
use super::error::{ResponseProblem, TransferError};
use super::retry::Backoff;
use super::scratch::Scratch;
use super::url::SecretUrl;
use crate::digest::Blake3Digest;

/// Most of a wrong header that is repeated.
const HEADER_CHARACTERS: usize = 80;

pub(super) struct RangeDownload {
    pub(super) client: TransferClient,
    pub(super) url: SecretUrl,
    pub(super) layout: Arc<Layout>,
    pub(super) scratch: Arc<Scratch>,
    /// The chunks still missing; its start moves on as chunks are verified and written.
    pub(super) chunks: Range<u64>,
    pub(super) deadline: Instant,
    /// The chunk being verified and written while the next one arrives. Gives its buffer back.
    pub(super) writing: Option<JoinHandle<Result<Vec<u8>, TransferError>>>,
}

impl RangeDownload {
    /// Fetches every chunk of the range.
    pub(super) async fn run(mut self) -> Result<(), TransferError> {
        let (client, url) = (self.client.clone(), self.url.clone());
        let mut backoff = Backoff::new(&client.limits().retry, self.deadline);
        while !self.chunks.is_empty() {
            let before = self.chunks.start;
            let place = client.place().await;
            let outcome = client.attempt(&url, self.attempt()).await;
            drop(place);
            // Also after a failure: what arrived whole counts, and two writers of one chunk must
            // not meet.
            self.settle().await?;
            if let Err(error) = outcome {
                if self.chunks.start > before {
                    backoff.progressed();
                }
                backoff.pause_after(error).await?;
            }
        }
        Ok(())
    }

    async fn attempt(&mut self) -> Result<(), TransferError> {
        let (client, url) = (self.client.clone(), self.url.clone());
        let first = self.layout.extent(self.chunks.start).offset_bytes;
        let end = self.layout.extent(self.chunks.end - 1).end_bytes();
        let request = client.get(&url).header(RANGE, format!("bytes={first}-{}", end - 1));
        let request = request.header(ACCEPT_ENCODING, "identity").build();
        let request = request.map_err(TransferError::connection(&url))?;
        let mut response = client.send(&url, request).await?;
        let is_whole = check_answer(&response, first..end, self.layout.size_bytes)
            .map_err(|problem| TransferError::response(&url, problem))?;
        let mut filling = Filling { chunk: self.chunks.start, buffer: Vec::new() };
        while let Some(piece) = client.next_piece(&url, &mut response).await? {
            let rest = self.take(&mut filling, piece).await?;
            if filling.chunk < self.chunks.end {
                continue;
            }
            // Of a whole object, what lies beyond the range is not read.
            if is_whole && end < self.layout.size_bytes {
                return Ok(());
            }
            if !rest.is_empty() {
                let problem = ResponseProblem::TooLong { limit_bytes: end - first };
                return Err(TransferError::response(&url, problem));
            }
        }
        if filling.chunk < self.chunks.end {
            let arrived =
                self.layout.extent(filling.chunk).offset_bytes + filling.buffer.len() as u64;
            let problem = ResponseProblem::Truncated {
                expected_bytes: end - first,
                found_bytes: arrived - first,
            };
            return Err(TransferError::response(&url, problem));
        }
        Ok(())
    }

    /// Fills chunks from a piece of the body; answers what is left of it past the range.
    async fn take(
        &mut self,
        filling: &mut Filling,
        mut piece: Bytes,
    ) -> Result<Bytes, TransferError> {
        while !piece.is_empty() && filling.chunk < self.chunks.end {
            let chunk_bytes = self.layout.extent(filling.chunk).length_bytes as usize;
            filling.buffer.reserve_exact(chunk_bytes.saturating_sub(filling.buffer.len()));
            let taken = piece.len().min(chunk_bytes - filling.buffer.len());
            filling.buffer.extend_from_slice(&piece[..taken]);
            piece.advance(taken);
            if filling.buffer.len() == chunk_bytes {
                let emptied = self.settle().await?;
                let full = std::mem::replace(&mut filling.buffer, emptied);
                self.write(filling.chunk, full);
                filling.chunk += 1;
            }
        }
        Ok(piece)
    }

    /// Begins to verify and write a chunk on the blocking pool.
    fn write(&mut self, chunk: u64, mut bytes: Vec<u8>) {
        let (layout, scratch, url) = (self.layout.clone(), self.scratch.clone(), self.url.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let offset_bytes = layout.extent(chunk).offset_bytes;
            if let Some(digests) = &layout.digests
                && digests.digest(chunk) != Some(Blake3Digest::of(&bytes))
            {
                return Err(TransferError::CorruptChunk { url, offset_bytes });
            }
            scratch.write(offset_bytes, &bytes)?;
            bytes.clear();
            Ok(bytes)
        }));
    }

    /// Waits for the chunk being written, if there is one, and counts it as done. Answers a buffer
    /// to use again.
    async fn settle(&mut self) -> Result<Vec<u8>, TransferError> {
        let Some(writing) = &mut self.writing else { return Ok(Vec::new()) };
        let outcome = writing.await;
        self.writing = None;
        let buffer = outcome??;
        self.chunks.start += 1;
        Ok(buffer)
    }
}

/// The chunk that arrives.
struct Filling {
    chunk: u64,
    buffer: Vec<u8>,
}

/// Whether an answer is what was asked for: true when it is the whole object, which will do for a
/// range at its start.
pub(super) fn check_answer(
    response: &Response,
    asked: Range<u64>,
    size_bytes: u64,
) -> Result<bool, ResponseProblem> {
    let length = response.content_length();
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            check_range(response, &asked, size_bytes)?;
            check_length(length, asked.end - asked.start)?;
            Ok(false)
        }
        StatusCode::OK if asked.start > 0 => Err(ResponseProblem::RangeIgnored),
        StatusCode::OK => match length {
            Some(found_bytes) if found_bytes != size_bytes => {
                Err(ResponseProblem::WrongSize { expected_bytes: size_bytes, found_bytes })
            }
            _ => Ok(true),
        },
        other => Err(ResponseProblem::Status { status: other.as_u16() }),
    }
}

fn check_range(
    response: &Response,
    asked: &Range<u64>,
    size_bytes: u64,
) -> Result<(), ResponseProblem> {
    let header = response.headers().get(CONTENT_RANGE).and_then(|header| header.to_str().ok());
    let range = header.and_then(ContentRange::parse);
    if let Some(ContentRange { total: Some(found_bytes), .. }) = range
        && found_bytes != size_bytes
    {
        return Err(ResponseProblem::WrongSize { expected_bytes: size_bytes, found_bytes });
    }
    let last = asked.end - 1;
    match range {
        Some(range) if range.first == asked.start && range.last == last => Ok(()),
        _ => {
            let found = header.map(|text| text.chars().take(HEADER_CHARACTERS).collect());
            Err(ResponseProblem::WrongRange { first: asked.start, last, found })
        }
    }
}

fn check_length(found: Option<u64>, expected_bytes: u64) -> Result<(), ResponseProblem> {
    match found {
        Some(found_bytes) if found_bytes < expected_bytes => {
            Err(ResponseProblem::Truncated { expected_bytes, found_bytes })
        }
        Some(found_bytes) if found_bytes > expected_bytes => {
            Err(ResponseProblem::TooLong { limit_bytes: expected_bytes })
        }
        _ => Ok(()),
    }
}
