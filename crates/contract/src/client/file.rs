//! Files of a guest as streams.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::connection::{Answering, read_whole};
use super::{ByteRange, ByteStream, Call, Client, ClientError, TRANSFER};
use crate::endpoint::Endpoint;
use crate::endpoint::table::{ReadArchive, ReadFile, WatchFiles, WriteArchive, WriteFile};
use crate::file_stream::{FileChangeEvent, FileQuery, FileWrittenAnswer, WriteFileQuery};
use crate::id::MachineId;

/// The longest line of a watch: a path and a word.
const LINE_LIMIT_BYTES: usize = 64 << 10;

/// Bytes to send.
#[derive(Debug)]
pub struct Content<S> {
    /// How many there are, where that is known: a stream of another length is not taken for whole.
    pub length_bytes: Option<u64>,
    /// The bytes. An error ends the request, and the guest keeps what it had.
    pub stream: S,
}

/// Changes beneath a directory of a guest.
#[derive(Debug)]
pub struct Changes {
    stream: ByteStream,
    buffer: BytesMut,
}

impl Changes {
    /// The next change; `None` when the host ended the watch.
    ///
    /// # Errors
    /// When the connection breaks, or the host is silent for a minute.
    pub async fn next(&mut self) -> Result<Option<FileChangeEvent>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let (call, status) = (WatchFiles::NAME, StatusCode::OK);
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    ClientError::Unexpected { call, status, source: Some(error) }
                });
            }
            if self.buffer.len() > LINE_LIMIT_BYTES {
                let call = WatchFiles::NAME;
                return Err(ClientError::TooLong { call, limit_bytes: LINE_LIMIT_BYTES });
            }
            match self.stream.next().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }
}

impl Client {
    /// Reads a file of a guest, or a range of it.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success; a range that is not answered as one is an error too.
    pub async fn read_file(
        &self,
        machine: &MachineId,
        query: &FileQuery,
        range: ByteRange,
    ) -> Result<ByteStream, ClientError> {
        self.read_bytes(self.call(ReadFile, machine).query(query), range).await
    }

    /// Reads a tar archive of what a directory of a guest holds, or of one file.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success.
    pub async fn read_archive(
        &self,
        machine: &MachineId,
        query: &FileQuery,
    ) -> Result<ByteStream, ClientError> {
        self.read_bytes(self.call(ReadArchive, machine).query(query), ByteRange::default()).await
    }

    /// Replaces a file of a guest.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success.
    pub async fn write_file<S>(
        &self,
        machine: &MachineId,
        query: &WriteFileQuery,
        content: Content<S>,
    ) -> Result<FileWrittenAnswer, ClientError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        self.send_bytes(self.call(WriteFile, machine).query(query), content).await
    }

    /// Unpacks a tar archive into a directory of a guest.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success; entries before the one that failed are there.
    pub async fn write_archive<S>(
        &self,
        machine: &MachineId,
        query: &FileQuery,
        content: Content<S>,
    ) -> Result<FileWrittenAnswer, ClientError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        self.send_bytes(self.call(WriteArchive, machine).query(query), content).await
    }

    /// Watches a directory of a guest and all beneath it.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success.
    pub async fn watch_files(
        &self,
        machine: &MachineId,
        query: &FileQuery,
    ) -> Result<Changes, ClientError> {
        let call = self.call(WatchFiles, machine).query(query);
        let stream = self.read_bytes(call, ByteRange::default()).await?;
        Ok(Changes { stream, buffer: BytesMut::new() })
    }

    async fn send_bytes<E, S>(
        &self,
        call: Call<'_, E>,
        content: Content<S>,
    ) -> Result<FileWrittenAnswer, ClientError>
    where
        E: Endpoint,
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let (mut request, call) = (call.into_request()?, E::NAME);
        let body = StreamBody::new(content.stream.map(|data| data.map(Frame::data)));
        *request.body_mut() = body.boxed_unsync();
        let headers = request.headers_mut();
        let binary = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, binary);
        if let Some(length) = content.length_bytes {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        within(call, TRANSFER, async {
            let Answering { response, driver } = self.exchange(call, request).await?;
            let (parts, body) = response.into_parts();
            let bytes = read_whole(call, body).await?;
            drop(driver);
            if !parts.status.is_success() {
                return Err(ClientError::of_answer(call, parts.status, &parts.headers, &bytes));
            }
            let status = parts.status;
            serde_json::from_slice(&bytes).map_err(|error| ClientError::Unexpected {
                call,
                status,
                source: Some(error),
            })
        })
        .await
    }
}

async fn within<T>(
    call: &'static str,
    after: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(after, work)
        .await
        .map_err(|_elapsed| ClientError::Deadline { call, after })?
}
