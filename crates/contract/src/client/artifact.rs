//! Reading the bytes of a snapshot's file.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::connection::{Answering, Driver, read_whole};
use super::{Client, ClientError};
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

/// The bytes of a snapshot's file, as they come.
#[derive(Debug)]
pub struct ArtifactStream {
    body: Incoming,
    length_bytes: Option<u64>,
    // Ends the connection when the stream is dropped.
    _driver: Driver,
}

impl ArtifactStream {
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
        let call = ReadArtifact::NAME;
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
    ) -> Result<ArtifactStream, ClientError> {
        let call = ReadArtifact::NAME;
        let mut request = self.call(ReadArtifact, &(snapshot.clone(), artifact)).into_request()?;
        let mut success = StatusCode::OK;
        if let Some(range) = range.header() {
            request.headers_mut().insert(header::RANGE, range);
            success = StatusCode::PARTIAL_CONTENT;
        }
        tokio::time::timeout(SILENCE_DEADLINE, async {
            let Answering { response, driver } = self.exchange(call, request).await?;
            let (parts, body) = response.into_parts();
            if parts.status == success {
                let length_bytes = parts
                    .headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|length| length.to_str().ok()?.parse().ok());
                return Ok(ArtifactStream { body, length_bytes, _driver: driver });
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
