//! A file or an archive on its way into a guest.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::core::{Call, Client};
use super::error::ClientError;
use super::files::{next, nonsense};
use crate::limits;
use crate::proto::files::write_event::Event;
use crate::proto::files::write_request::Request;
use crate::proto::files::{WriteDone, WriteEnd, WriteEvent, WriteOpen, WriteRequest};

/// Messages made but not taken by HTTP/2 yet.
const PENDING: usize = 2;

/// A file that is being written. Dropped before [`FileWriter::finish`], it changes nothing.
#[derive(Debug)]
pub struct FileWriter {
    requests: mpsc::Sender<WriteRequest>,
    events: Streaming<WriteEvent>,
    /// Whole chunks are sent: small pieces would cost the guest more than their bytes.
    chunk: BytesMut,
    sent: u64,
    taken: u64,
}

impl Client {
    /// Begins to write a file, a part of one, or what an archive holds. What cannot be begun shows with the first data.
    ///
    /// # Errors
    /// As for every call.
    pub async fn write_file(
        &self,
        open: WriteOpen,
        deadline: Duration,
    ) -> Result<FileWriter, ClientError> {
        let call = Call::new("write file", deadline);
        let mut files = self.files(&call).await?;
        let (requests, outgoing) = mpsc::channel(PENDING);
        let opening = WriteRequest { request: Some(Request::Open(open)) };
        requests.try_send(opening).map_err(|_full| nonsense(&call, "no room for a request"))?;
        let events = call.answer(files.write(ReceiverStream::new(outgoing))).await?.into_inner();
        Ok(FileWriter { requests, events, chunk: BytesMut::new(), sent: 0, taken: 0 })
    }
}

impl FileWriter {
    /// Adds data; waits while a window of it has not been written.
    ///
    /// # Errors
    /// As for every call. The agent's refusal when it has ended the stream: nothing is to be added any more.
    pub async fn write(&mut self, mut data: Bytes, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("write file", deadline);
        while !data.is_empty() {
            let length = data.len().min(limits::CHUNK_BYTES - self.chunk.len());
            self.chunk.extend_from_slice(&data.split_to(length));
            if self.chunk.len() == limits::CHUNK_BYTES {
                self.send_chunk(&call).await?;
            }
        }
        Ok(())
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// As for [`FileWriter::write`]; `Aborted` when the file has another version than expected.
    pub async fn finish(mut self, deadline: Duration) -> Result<WriteDone, ClientError> {
        let call = Call::new("write file", deadline);
        if !self.chunk.is_empty() {
            self.send_chunk(&call).await?;
        }
        self.send(Request::End(WriteEnd {}), &call).await?;
        loop {
            if let Some(done) = self.hear(&call).await? {
                return Ok(done);
            }
        }
    }

    async fn send_chunk(&mut self, call: &Call) -> Result<(), ClientError> {
        let data = std::mem::take(&mut self.chunk).freeze();
        let after = self.sent + data.len() as u64;
        while after.saturating_sub(self.taken) > limits::WINDOW_BYTES {
            if self.hear(call).await?.is_some() {
                return Err(nonsense(call, "it ended before its data"));
            }
        }
        self.sent = after;
        self.send(Request::Data(data), call).await
    }

    async fn send(&mut self, request: Request, call: &Call) -> Result<(), ClientError> {
        let request = WriteRequest { request: Some(request) };
        match tokio::time::timeout_at(call.at(), self.requests.send(request)).await {
            Err(_elapsed) => Err(call.missed()),
            Ok(Ok(())) => Ok(()),
            // The call is over: its last word says why.
            Ok(Err(_closed)) => loop {
                if self.hear(call).await?.is_some() {
                    return Err(nonsense(call, "it ended before its data"));
                }
            },
        }
    }

    async fn hear(&mut self, call: &Call) -> Result<Option<WriteDone>, ClientError> {
        match next(&mut self.events, call).await? {
            Some(WriteEvent { event: Some(Event::Taken(bytes)) }) => {
                self.taken = bytes.min(self.sent);
                Ok(None)
            }
            Some(WriteEvent { event: Some(Event::Done(done)) }) => Ok(Some(done)),
            Some(WriteEvent { event: None }) => Err(nonsense(call, "an empty event")),
            None => Err(nonsense(call, "it ended without an outcome")),
        }
    }
}
