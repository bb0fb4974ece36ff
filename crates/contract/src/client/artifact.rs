//! Reading bytes: a snapshot's file, a file or an archive of a guest.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::connection::{Answering, Driver, read_whole};
use super::{Call, Client, ClientError};
use crate::artifact::ArtifactId;
use crate::endpoint::Endpoint;
use crate::endpoint::table::ReadArtifact;
use crate::id::SnapshotId;

/// For how long nothing may come.
const SILENCE_DEADLINE: Duration = Duration::from_secs(60);

/// A range of bytes: all of a file by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte; the last of the file when absent.
    pub last: Option<u64>,
}

impl ByteRange {
    fn header(self) -> Option<HeaderValue> {
        let text = match self {
            Self { first: 0, last: None } => return None,
            Self { first, last: None } => format!("bytes={first}-"),
            Self { first, last: Some(last) } => format!("bytes={first}-{last}"),
        };
        Some(HeaderValue::from_str(&text).expect("digits and dashes stand in a header"))
    }
}

/// Bytes, as they come.
#[derive(Debug)]
pub struct ByteStream {
    body: Incoming,
    length_bytes: Option<u64>,
    call: &'static str,
    // Ends the connection when the stream is dropped.
    _driver: Driver,
}

impl ByteStream {
    /// How many bytes come in all, where the host says so.
    #[must_use]
    pub fn length_bytes(&self) -> Option<u64> {
        self.length_bytes
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks or nothing comes for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let call = self.call;
        loop {
            let frame = tokio::time::timeout(SILENCE_DEADLINE, self.body.frame())
                .await
                .map_err(|_elapsed| ClientError::Deadline { call, after: SILENCE_DEADLINE })?;
            match frame {
                None => return Ok(None),
                Some(Err(source)) => return Err(ClientError::Transport { call, source }),
                // What is no data is a trailer, and says nothing to us.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl Client {
    /// Reads a file of a snapshot, or a range of it.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success; a range that is not answered as one is an error too.
    pub async fn read_artifact(
        &self,
        snapshot: &SnapshotId,
        artifact: ArtifactId,
        range: ByteRange,
    ) -> Result<ByteStream, ClientError> {
        let call = self.call(ReadArtifact, &(snapshot.clone(), artifact));
        self.read_bytes(call, range).await
    }

    /// Reads the bytes that an endpoint answers.
    pub(super) async fn read_bytes<E: Endpoint>(
        &self,
        call: Call<'_, E>,
        range: ByteRange,
    ) -> Result<ByteStream, ClientError> {
        let mut request = call.into_request()?;
        let mut success = StatusCode::OK;
        if let Some(range) = range.header() {
            request.headers_mut().insert(header::RANGE, range);
            success = StatusCode::PARTIAL_CONTENT;
        }
        let call = E::NAME;
        tokio::time::timeout(SILENCE_DEADLINE, async {
            let Answering { response, driver } = self.exchange(call, request).await?;
            let (parts, body) = response.into_parts();
            if parts.status == success {
                let length_bytes = parts
                    .headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|length| length.to_str().ok()?.parse().ok());
                return Ok(ByteStream { body, length_bytes, call, _driver: driver });
            }
            if parts.status.is_success() {
                return Err(ClientError::Unexpected { call, status: parts.status, source: None });
            }
            let bytes = read_whole(call, body).await?;
            Err(ClientError::of_answer(call, parts.status, &parts.headers, &bytes))
        })
        .await
        .map_err(|_elapsed| ClientError::Deadline { call, after: SILENCE_DEADLINE })?
    }
}
