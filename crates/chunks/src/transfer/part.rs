//! One part of an upload: PUT it, again if need be, until the store answers its tag.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use http::header::{CONTENT_LENGTH, ETAG, EXPECT};
use tokio::time::Instant;

use super::body::part_body;
use super::client::TransferClient;
use super::coverage::Part;
use super::error::{ResponseProblem, TransferError};
use super::retry::Backoff;
use crate::files::Extent;

/// How long the body of a repeated attempt waits for an early answer, the wait that curl made
/// usual.
const EARLY_ANSWER: Duration = Duration::from_secs(1);

pub(super) struct PartUpload {
    pub(super) client: TransferClient,
    pub(super) file: Arc<File>,
    pub(super) path: Utf8PathBuf,
    pub(super) part: Part,
    pub(super) deadline: Instant,
}

impl PartUpload {
    /// Sends the part and answers its ETag.
    pub(super) async fn run(&self) -> Result<String, TransferError> {
        let mut backoff = Backoff::new(&self.client.limits().retry, self.deadline);
        let mut hold_back = Duration::ZERO;
        loop {
            let place = self.client.place().await;
            let outcome = self.client.attempt(&self.part.url, self.attempt(hold_back)).await;
            drop(place);
            match outcome {
                Ok(etag) => return Ok(etag),
                Err(error) => {
                    // A store that refuses before it has read the body closes the connection while
                    // we still write, and its reason is lost. So the next attempt listens first.
                    hold_back = EARLY_ANSWER;
                    backoff.pause_after(error).await?;
                }
            }
        }
    }

    async fn attempt(&self, hold_back: Duration) -> Result<String, TransferError> {
        let url = &self.part.url;
        let extent =
            Extent { offset_bytes: self.part.offset_bytes, length_bytes: self.part.size_bytes };
        let buffer_bytes = self.client.limits().buffer_bytes;
        let (body, fault) = part_body(self.file.clone(), extent, buffer_bytes, hold_back);
        let mut request = self.client.put(url).header(CONTENT_LENGTH, extent.length_bytes);
        if !hold_back.is_zero() {
            request = request.header(EXPECT, "100-continue");
        }
        let request = request.body(body).build().map_err(TransferError::connection(url))?;
        let response = match self.client.send(url, request).await {
            Ok(response) => response,
            Err(error) => {
                return Err(match fault.take() {
                    Some(source) => TransferError::local("read", &self.path)(source),
                    None => error,
                });
            }
        };
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(TransferError::response(url, ResponseProblem::Status { status }));
        }
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        match etag.filter(|etag| !etag.is_empty()) {
            Some(etag) => Ok(etag.to_owned()),
            None => Err(TransferError::response(url, ResponseProblem::MissingEtag)),
        }
    }
}
