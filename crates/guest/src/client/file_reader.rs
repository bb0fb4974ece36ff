//! A file or an archive on its way out of a guest.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use tonic::Streaming;

use super::core::{Call, Client};
use super::error::ClientError;
use super::files::{next, nonsense};
use crate::limits;
use crate::proto::files::read_event::Event;
use crate::proto::files::read_request::Request;
use crate::proto::files::{ReadEvent, ReadOpen, ReadRequest, Stat};

/// More than the pieces of a window: the task that fills it never waits for whoever reads.
const PIECES: usize = 2 * (limits::WINDOW_BYTES as usize / limits::CHUNK_BYTES);

/// A file that is being read. It keeps at most a window of data, however slowly it is read, and holds up no other call.
#[derive(Debug)]
pub struct FileReader {
    /// The file when it was opened.
    pub stat: Stat,
    pieces: mpsc::Receiver<Result<Bytes, ClientError>>,
    taken: watch::Sender<u64>,
    receiving: JoinHandle<()>,
}

impl FileReader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// As for every call; a read is not resumed by itself.
    pub async fn next_chunk(&mut self, deadline: Duration) -> Result<Option<Bytes>, ClientError> {
        let call = Call::new("read file", deadline);
        match tokio::time::timeout_at(call.at(), self.pieces.recv()).await {
            Err(_elapsed) => Err(call.missed()),
            Ok(None) => Ok(None),
            Ok(Some(piece)) => {
                let data = piece?;
                self.taken.send_modify(|taken| *taken += data.len() as u64);
                Ok(Some(data))
            }
        }
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

impl Client {
    /// Opens a file, a part of one, or an archive of what a directory holds.
    ///
    /// # Errors
    /// As for every call; `NotFound`, and `FailedPrecondition` for what is no file.
    pub async fn read_file(
        &self,
        open: ReadOpen,
        deadline: Duration,
    ) -> Result<FileReader, ClientError> {
        let call = Call::new("read file", deadline);
        let mut files = self.files(&call).await?;
        let (taken, taking) = watch::channel(0);
        let opening = ReadRequest { request: Some(Request::Open(open)) };
        let credits = WatchStream::from_changes(taking)
            .map(|bytes| ReadRequest { request: Some(Request::Taken(bytes)) });
        let requests = tokio_stream::once(opening).chain(credits);
        let mut events = call.answer(files.read(requests)).await?.into_inner();
        let Some(ReadEvent { event: Some(Event::Stat(stat)) }) = next(&mut events, &call).await?
        else {
            return Err(nonsense(&call, "no stat"));
        };
        let (sender, pieces) = mpsc::channel(PIECES);
        let receiving = tokio::spawn(receive(events, sender));
        Ok(FileReader { stat, pieces, taken, receiving })
    }
}

/// Takes what comes out of the connection at once, so that it never fills up for others.
async fn receive(
    mut events: Streaming<ReadEvent>,
    sender: mpsc::Sender<Result<Bytes, ClientError>>,
) {
    let operation = "read file";
    loop {
        let piece = match events.message().await {
            Ok(Some(ReadEvent { event: Some(Event::Data(data)) })) => Ok(data),
            Ok(Some(ReadEvent { event: Some(Event::End(_)) })) => return,
            Ok(Some(_)) => Err(ClientError::Answer { operation, reason: "a second stat" }),
            Ok(None) => Err(ClientError::Answer { operation, reason: "the file ended early" }),
            Err(status) => Err(ClientError::from_status(operation, status)),
        };
        let is_last = piece.is_err();
        if sender.send(piece).await.is_err() || is_last {
            return;
        }
    }
}
