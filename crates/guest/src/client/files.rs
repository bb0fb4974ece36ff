//! Short calls about files of a guest, beneath its workspace: paths are relative to it.

use std::time::Duration;

use tokio::time::timeout_at;
use tonic::Streaming;

use super::core::{Call, Client};
use super::error::ClientError;
use crate::proto::files::{
    GrepRequest, GrepResponse, ListRequest, ListResponse, MakeDirectoryRequest, MoveRequest,
    RemoveRequest, Stat, StatRequest, WatchEvent, WatchRequest,
};

/// Changes beneath a directory, as they happen.
#[derive(Debug)]
pub struct Watch {
    events: Streaming<WatchEvent>,
}

impl Watch {
    /// The next change; `None` when none came within `patience`.
    ///
    /// # Errors
    /// When the channel breaks, or the agent ends the watch.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<WatchEvent>, ClientError> {
        let operation = "watch files";
        match tokio::time::timeout(patience, self.events.message()).await {
            Err(_elapsed) => Ok(None),
            Ok(Ok(Some(event))) => Ok(Some(event)),
            Ok(Ok(None)) => {
                Err(ClientError::Answer { operation, reason: "the watch ended by itself" })
            }
            Ok(Err(status)) => Err(ClientError::from_status(operation, status)),
        }
    }
}

impl Client {
    /// What is at a path, links followed; `None` when nothing is.
    ///
    /// # Errors
    /// As for every call.
    pub async fn stat_file(
        &self,
        path: &str,
        deadline: Duration,
    ) -> Result<Option<Stat>, ClientError> {
        let call = Call::new("stat file", deadline);
        let mut files = self.files(&call).await?;
        let request = StatRequest { path: path.to_owned() };
        Ok(call.answer(files.stat(request)).await?.into_inner().stat)
    }

    /// The entries of a directory, in byte order of their paths.
    ///
    /// # Errors
    /// As for every call.
    pub async fn list_directory(
        &self,
        request: ListRequest,
        deadline: Duration,
    ) -> Result<ListResponse, ClientError> {
        let call = Call::new("list directory", deadline);
        let limit = request.limit as usize;
        let mut files = self.files(&call).await?;
        let mut pages = call.answer(files.list(request)).await?.into_inner();
        let mut whole = ListResponse::default();
        while let Some(page) = next(&mut pages, &call).await? {
            whole.entries.extend(page.entries);
            whole.truncated |= page.truncated;
            if whole.entries.len() > limit {
                return Err(nonsense(&call, "more entries than asked for"));
            }
        }
        Ok(whole)
    }

    /// Makes a directory and those above it; one that is there already is fine.
    ///
    /// # Errors
    /// As for every call; `AlreadyExists` when something else is there.
    pub async fn make_directory(
        &self,
        request: MakeDirectoryRequest,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("make directory", deadline);
        let mut files = self.files(&call).await?;
        call.answer(files.make_directory(request)).await.map(drop)
    }

    /// Removes a file, or a directory: with all in it when `recursive`.
    ///
    /// # Errors
    /// As for every call; `NotFound`, and `FailedPrecondition` for a directory that holds something.
    pub async fn remove_path(
        &self,
        request: RemoveRequest,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("remove path", deadline);
        let mut files = self.files(&call).await?;
        call.answer(files.remove(request)).await.map(drop)
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

    /// Searches a file, or all files beneath a directory. The agent stops a little before the deadline and answers what it has.
    ///
    /// # Errors
    /// As for every call; `InvalidArgument` for a pattern that is none.
    pub async fn grep(
        &self,
        request: GrepRequest,
        deadline: Duration,
    ) -> Result<GrepResponse, ClientError> {
        let call = Call::new("search files", deadline);
        let most = request.max_matches as usize;
        let mut files = self.files(&call).await?;
        let mut pages = call.answer(files.grep(request)).await?.into_inner();
        let mut whole = GrepResponse::default();
        while let Some(page) = next(&mut pages, &call).await? {
            whole.matches.extend(page.matches);
            whole.truncated |= page.truncated;
            if whole.matches.len() > most {
                return Err(nonsense(&call, "more matches than asked for"));
            }
        }
        Ok(whole)
    }

    /// Watches a directory and all beneath it.
    ///
    /// # Errors
    /// As for every call.
    pub async fn watch_files(&self, path: &str, deadline: Duration) -> Result<Watch, ClientError> {
        let call = Call::new("watch files", deadline);
        let mut files = self.files(&call).await?;
        let request = WatchRequest { path: path.to_owned() };
        let events = call.answer(files.watch(request)).await?.into_inner();
        Ok(Watch { events })
    }
}

/// The next message of a stream, within the call's deadline.
pub(super) async fn next<T>(
    stream: &mut Streaming<T>,
    call: &Call,
) -> Result<Option<T>, ClientError> {
    match timeout_at(call.at(), stream.message()).await {
        Err(_elapsed) => Err(call.missed()),
        Ok(Err(status)) => Err(ClientError::from_status(call.operation, status)),
        Ok(Ok(message)) => Ok(message),
    }
}

pub(super) fn nonsense(call: &Call, reason: &'static str) -> ClientError {
    ClientError::Answer { operation: call.operation, reason }
}
