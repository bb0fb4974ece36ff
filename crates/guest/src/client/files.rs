//! Files of a guest, streamed in both directions.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout_at;
use tonic::Streaming;

use super::core::{Call, Client};
use super::error::ClientError;
use crate::limits;
use crate::proto::read_event::Event;
use crate::proto::write_request::Message;
use crate::proto::{
    FileStat, ListDirectoryRequest, ListDirectoryResponse, MakeDirectoryRequest, MoveRequest,
    ReadEvent, ReadRequest, RemovePathRequest, StatRequest, WriteHeader, WriteRequest,
};

/// A file to be written: header fields as in `proto/agent.proto`.
pub type NewFile = WriteHeader;

/// A file that is being read.
#[derive(Debug)]
pub struct FileReader {
    /// The file when it was opened.
    pub stat: FileStat,
    events: Streaming<ReadEvent>,
}

impl FileReader {
    /// The next bytes, at most [`limits::MESSAGE_BYTES`]; `None` at the end.
    ///
    /// # Errors
    /// As for every call; a read is not resumed by itself.
    pub async fn next_chunk(&mut self, deadline: Duration) -> Result<Option<Bytes>, ClientError> {
        let call = Call::new("read file", deadline);
        match next_event(&mut self.events, &call).await? {
            None => Ok(None),
            Some(Event::Data(data)) => Ok(Some(data)),
            Some(Event::Stat(_)) => Err(nonsense(&call, "a second stat")),
        }
    }
}

impl Client {
    /// Opens a regular file for reading `length` bytes from `offset` (0: to the end).
    ///
    /// # Errors
    /// As for every call; `NotFound`, `InvalidArgument` for what is no file.
    pub async fn read_file(
        &self,
        path: &str,
        offset: u64,
        length: u64,
        deadline: Duration,
    ) -> Result<FileReader, ClientError> {
        let call = Call::new("read file", deadline);
        let mut files = self.files(&call).await?;
        let request = ReadRequest { path: path.to_owned(), offset, length };
        let mut events = call.answer(files.read(request)).await?.into_inner();
        match next_event(&mut events, &call).await? {
            Some(Event::Stat(stat)) => Ok(FileReader { stat, events }),
            Some(Event::Data(_)) | None => Err(nonsense(&call, "no stat")),
        }
    }

    /// Writes a whole file: it appears under its name, complete, or not at all.
    ///
    /// # Errors
    /// As for every call; `InvalidArgument` when the data is not as long as the header says.
    pub async fn write_file<S>(
        &self,
        file: NewFile,
        data: S,
        deadline: Duration,
    ) -> Result<FileStat, ClientError>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let call = Call::new("write file", deadline);
        let mut files = self.files(&call).await?;
        let header = WriteRequest { message: Some(Message::Header(file)) };
        let chunks = data
            .flat_map(|data| stream::iter(pieces(data)))
            .map(|data| WriteRequest { message: Some(Message::Data(data)) });
        let response = call.answer(files.write(stream::iter([header]).chain(chunks))).await?;
        response.into_inner().stat.ok_or_else(|| nonsense(&call, "no stat"))
    }

    /// What is at a path; `None` when nothing is.
    ///
    /// # Errors
    /// As for every call.
    pub async fn stat_file(
        &self,
        path: &str,
        deadline: Duration,
    ) -> Result<Option<FileStat>, ClientError> {
        let call = Call::new("stat file", deadline);
        let mut files = self.files(&call).await?;
        let request = StatRequest { path: path.to_owned(), follow_symlink: false };
        Ok(call.answer(files.stat(request)).await?.into_inner().stat)
    }

    /// Up to 500 entries of a directory, in byte order, after the name given (empty: from the first).
    ///
    /// # Errors
    /// As for every call.
    pub async fn list_directory(
        &self,
        path: &str,
        after: &str,
        deadline: Duration,
    ) -> Result<ListDirectoryResponse, ClientError> {
        let call = Call::new("list directory", deadline);
        let mut files = self.files(&call).await?;
        let request =
            ListDirectoryRequest { path: path.to_owned(), after: after.to_owned(), limit: 0 };
        Ok(call.answer(files.list_directory(request)).await?.into_inner())
    }

    /// Makes a directory; one that is there already is fine.
    ///
    /// # Errors
    /// As for every call.
    pub async fn make_directory(
        &self,
        request: MakeDirectoryRequest,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("make directory", deadline);
        let mut files = self.files(&call).await?;
        call.answer(files.make_directory(request)).await.map(drop)
    }

    /// Removes a file, or a directory with all in it when `recursive`; false when there was none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn remove_path(
        &self,
        request: RemovePathRequest,
        deadline: Duration,
    ) -> Result<bool, ClientError> {
        let call = Call::new("remove path", deadline);
        let mut files = self.files(&call).await?;
        Ok(call.answer(files.remove_path(request)).await?.into_inner().existed)
    }

    /// Renames within one file system, replacing a file that is there.
    ///
    /// # Errors
    /// As for every call.
    pub async fn move_path(
        &self,
        request: MoveRequest,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("move path", deadline);
        let mut files = self.files(&call).await?;
        call.answer(files.r#move(request)).await.map(drop)
    }
}

/// Pieces that fit a message.
fn pieces(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = data.len().min(limits::CHUNK_BYTES);
        (length > 0).then(|| data.split_to(length))
    })
}

async fn next_event(
    events: &mut Streaming<ReadEvent>,
    call: &Call,
) -> Result<Option<Event>, ClientError> {
    match timeout_at(call.at(), events.message()).await {
        Err(_elapsed) => Err(call.missed()),
        Ok(Err(status)) => Err(ClientError::from_status(call.operation, status)),
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(message))) => {
            message.event.map(Some).ok_or_else(|| nonsense(call, "an empty event"))
        }
    }
}

fn nonsense(call: &Call, reason: &'static str) -> ClientError {
    ClientError::Answer { operation: call.operation, reason }
}
