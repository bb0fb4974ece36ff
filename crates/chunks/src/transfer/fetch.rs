//! Fetching a whole object in one stream: a manifest into memory, a kernel or root image into a
//! file.

use std::sync::Arc;

use bytes::Bytes;
use camino::Utf8Path;
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, LOCATION};
use reqwest::Response;
use sha2::{Digest, Sha256};

use super::client::TransferClient;
use super::error::{ResponseProblem, TransferError};
use super::retry::Backoff;
use super::scratch::{Durability, Scratch};
use super::tasks::blocking;
use super::url::SecretUrl;
use crate::digest::Sha256Digest;

/// Artifacts are shared and never written.
const FETCHED_MODE: u32 = 0o444;
/// Bytes hashed and written at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// What was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Its digest, whether one was expected or not.
    pub sha256: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
}

impl TransferClient {
    /// Fetches a small object into memory, and answers it only if it is the one expected.
    pub async fn fetch_small(
        &self,
        url: &SecretUrl,
        limit_bytes: u64,
        expected: Sha256Digest,
    ) -> Result<Vec<u8>, TransferError> {
        let deadline = self.deadline();
        let retried = async {
            let mut backoff = Backoff::new(&self.limits().retry, deadline);
            loop {
                match self.attempt(url, self.fetch_once(url, limit_bytes)).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => backoff.pause_after(error).await?,
                }
            }
        };
        let bytes = self.until(deadline, retried).await?;
        check_digest(url, Some(expected), Sha256Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Fetches an object to `target`, which must not exist, with mode 0444, synced. Zeros become
    /// holes.
    ///
    /// Follows a bounded number of redirects, never from https to http. It grows in
    /// `<target>.part`, which a failure removes.
    pub async fn fetch_to_file(
        &self,
        url: &SecretUrl,
        target: &Utf8Path,
        limit_bytes: u64,
        expected: Option<Sha256Digest>,
    ) -> Result<Fetched, TransferError> {
        let deadline = self.deadline();
        let path = target.to_owned();
        let scratch = Arc::new(blocking(move || Scratch::open(&path, Durability::Synced)).await?);
        let retried = async {
            let mut backoff = Backoff::new(&self.limits().retry, deadline);
            loop {
                match self.fetch_into(url, &scratch, limit_bytes).await {
                    Ok(fetched) => {
                        break check_digest(url, expected, fetched.sha256).map(|()| fetched);
                    }
                    Err(error) => backoff.pause_after(error).await?,
                }
            }
        };
        let outcome = self.until(deadline, retried).await;
        blocking(move || match outcome {
            Ok(fetched) => scratch.finish(FETCHED_MODE).map(|()| fetched),
            Err(error) => {
                scratch.discard();
                Err(error)
            }
        })
        .await
    }

    async fn fetch_once(
        &self,
        url: &SecretUrl,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, TransferError> {
        let _place = self.place().await;
        let (url, mut response) = self.open(url, limit_bytes).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = self.next_piece(&url, &mut response).await? {
            if (bytes.len() + piece.len()) as u64 > limit_bytes {
                return Err(TransferError::response(
                    &url,
                    ResponseProblem::TooLong { limit_bytes },
                ));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn fetch_into(
        &self,
        url: &SecretUrl,
        scratch: &Arc<Scratch>,
        limit_bytes: u64,
    ) -> Result<Fetched, TransferError> {
        let _place = self.place().await;
        let (url, mut response) = self.open(url, limit_bytes).await?;
        let mut sink = Sink::open(scratch.clone()).await?;
        let mut buffered = Vec::new();
        while let Some(piece) = self.next_piece(&url, &mut response).await? {
            if sink.size_bytes + (buffered.len() + piece.len()) as u64 > limit_bytes {
                return Err(TransferError::response(
                    &url,
                    ResponseProblem::TooLong { limit_bytes },
                ));
            }
            buffered.extend_from_slice(&piece);
            if buffered.len() >= BUFFER_BYTES {
                let rest = buffered.split_off(buffered.len() - buffered.len() % BUFFER_BYTES);
                sink = sink.write(std::mem::replace(&mut buffered, rest).into()).await?;
            }
        }
        sink.write(buffered.into()).await?.finish().await
    }

    /// Asks for an object, following redirects, and answers who delivers it.
    async fn open(
        &self,
        url: &SecretUrl,
        limit_bytes: u64,
    ) -> Result<(SecretUrl, Response), TransferError> {
        let mut url = url.clone();
        for _ in 0..=self.limits().redirects {
            let request = self.get(&url).header(ACCEPT_ENCODING, "identity").build();
            let request = request.map_err(TransferError::connection(&url))?;
            let timeout = self.limits().stall_timeout;
            let response = match tokio::time::timeout(timeout, self.send(&url, request)).await {
                Ok(response) => response?,
                Err(_) => return Err(TransferError::Timeout { url, timeout }),
            };
            match response.status() {
                StatusCode::OK
                    if response.content_length().is_some_and(|length| length > limit_bytes) =>
                {
                    return Err(TransferError::response(
                        &url,
                        ResponseProblem::TooLong { limit_bytes },
                    ));
                }
                StatusCode::OK => return Ok((url, response)),
                status if status.is_redirection() => {
                    let location = response
                        .headers()
                        .get(LOCATION)
                        .and_then(|location| location.to_str().ok());
                    let target = location.and_then(|location| url.redirected(location).ok());
                    url = target.ok_or(TransferError::Redirect { url })?;
                }
                status => {
                    let problem = ResponseProblem::Status { status: status.as_u16() };
                    return Err(TransferError::response(&url, problem));
                }
            }
        }
        Err(TransferError::Redirect { url })
    }
}

/// The file that a stream goes into, hashed on the way. Moves to the blocking pool for every write
/// and back.
struct Sink {
    scratch: Arc<Scratch>,
    hasher: Sha256,
    size_bytes: u64,
}

impl Sink {
    /// An empty file, whatever an attempt before left in it.
    async fn open(scratch: Arc<Scratch>) -> Result<Self, TransferError> {
        blocking(move || {
            scratch.clear(0)?;
            Ok(Self { scratch, hasher: Sha256::new(), size_bytes: 0 })
        })
        .await
    }

    async fn write(mut self, bytes: Bytes) -> Result<Self, TransferError> {
        blocking(move || {
            self.hasher.update(&bytes);
            self.scratch.write(self.size_bytes, &bytes)?;
            self.size_bytes += bytes.len() as u64;
            Ok(self)
        })
        .await
    }

    async fn finish(self) -> Result<Fetched, TransferError> {
        blocking(move || {
            // Zeros at the end were not written.
            self.scratch.set_size(self.size_bytes)?;
            let sha256 = Sha256Digest::from_bytes(self.hasher.finalize().into());
            Ok(Fetched { sha256, size_bytes: self.size_bytes })
        })
        .await
    }
}

fn check_digest(
    url: &SecretUrl,
    expected: Option<Sha256Digest>,
    found: Sha256Digest,
) -> Result<(), TransferError> {
    match expected {
        Some(expected) if expected != found => {
            Err(TransferError::CorruptArtifact { url: url.clone(), expected, found })
        }
        _ => Ok(()),
    }
}
