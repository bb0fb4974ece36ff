//! A few neighbouring bytes of an object, into memory: for whoever verifies them itself.

use std::ops::Range;

use http::header::{ACCEPT_ENCODING, RANGE};
use tokio::time::Instant;

use super::client::TransferClient;
use super::error::{ResponseProblem, TransferError};
use super::range::check_answer;
use super::retry::Backoff;
use super::url::SecretUrl;

impl TransferClient {
    /// Fetches bytes of an object of `size_bytes`, tried again as the limits say until `deadline`. Exactly
    /// as many as were asked for come back; what they are is for the caller to verify.
    ///
    /// # Errors
    /// When the store refuses, answers wrongly, or gives nothing in time.
    pub async fn fetch_span(
        &self,
        url: &SecretUrl,
        size_bytes: u64,
        span: Range<u64>,
        deadline: Instant,
    ) -> Result<Vec<u8>, TransferError> {
        let tried = async {
            let mut backoff = Backoff::new(&self.limits().retry, deadline);
            loop {
                let place = self.place().await;
                let fetched = self.attempt(url, self.span_once(url, size_bytes, span.clone()));
                let fetched = fetched.await;
                drop(place);
                match fetched {
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => backoff.pause_after(error).await?,
                }
            }
        };
        self.until(deadline, tried).await
    }

    async fn span_once(
        &self,
        url: &SecretUrl,
        size_bytes: u64,
        span: Range<u64>,
    ) -> Result<Vec<u8>, TransferError> {
        let wrong = |problem| TransferError::response(url, problem);
        let expected_bytes = span.end - span.start;
        let request = self
            .get(url)
            .header(RANGE, format!("bytes={}-{}", span.start, span.end - 1))
            .header(ACCEPT_ENCODING, "identity")
            .build()
            .map_err(TransferError::connection(url))?;
        let mut response = self.send(url, request).await?;
        let is_whole = check_answer(&response, span, size_bytes).map_err(wrong)?;
        let length = usize::try_from(expected_bytes).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length);
        while let Some(piece) = self.next_piece(url, &mut response).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > length && is_whole {
                // Of a whole object, what lies beyond the span is not read.
                bytes.truncate(length);
                return Ok(bytes);
            }
            if bytes.len() > length {
                return Err(wrong(ResponseProblem::TooLong { limit_bytes: expected_bytes }));
            }
        }
        let found_bytes = bytes.len() as u64;
        if found_bytes < expected_bytes {
            return Err(wrong(ResponseProblem::Truncated { expected_bytes, found_bytes }));
        }
        Ok(bytes)
    }
}
