//! Files of the guest.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use crate::agent::files::{self, FileError};
use crate::agent::machine::Machine;
use crate::proto::files_server::Files;
use crate::proto::write_request::Message;
use crate::proto::{
    ListDirectoryRequest, ListDirectoryResponse, MakeDirectoryRequest, MakeDirectoryResponse,
    MoveRequest, MoveResponse, ReadEvent, ReadRequest, RemovePathRequest, RemovePathResponse,
    StatRequest, StatResponse, WriteRequest, WriteResponse,
};
use tokio_stream::wrappers::ReceiverStream;

/// Serves `Files`.
#[derive(Clone, Debug)]
pub(crate) struct FilesService {
    pub(crate) machine: Arc<Machine>,
}

impl FilesService {
    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Machine) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, Status> {
        let machine = self.machine.clone();
        tokio::task::spawn_blocking(move || work(&machine))
            .await
            .map_err(|_ended| Status::internal("the agent is ending"))?
            .map_err(|error| status(&error))
    }
}

#[tonic::async_trait]
impl Files for FilesService {
    type ReadStream = ReceiverStream<Result<ReadEvent, Status>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let opened = self.blocking(move |machine| files::open(&machine.places, &request)).await?;
        Ok(Response::new(files::stream(opened)))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        let Some(WriteRequest { message: Some(Message::Header(header)) }) = first else {
            return Err(Status::invalid_argument("the first message is no header"));
        };
        let mut upload =
            self.blocking(move |machine| files::Upload::begin(&machine.places, header)).await?;
        while let Some(message) = requests.message().await? {
            let Some(Message::Data(data)) = message.message else {
                return Err(Status::invalid_argument("a second header"));
            };
            upload = self.blocking(move |_machine| upload.append(&data)).await?;
        }
        let stat = self.blocking(move |_machine| upload.finish()).await?;
        Ok(Response::new(WriteResponse { stat: Some(stat) }))
    }

    async fn stat(&self, request: Request<StatRequest>) -> Result<Response<StatResponse>, Status> {
        let request = request.into_inner();
        let stat = self.blocking(move |machine| files::stat(&machine.places, &request)).await?;
        Ok(Response::new(StatResponse { stat }))
    }

    async fn list_directory(
        &self,
        request: Request<ListDirectoryRequest>,
    ) -> Result<Response<ListDirectoryResponse>, Status> {
        let request = request.into_inner();
        self.blocking(move |machine| files::list(&machine.places, &request))
            .await
            .map(Response::new)
    }

    async fn make_directory(
        &self,
        request: Request<MakeDirectoryRequest>,
    ) -> Result<Response<MakeDirectoryResponse>, Status> {
        let request = request.into_inner();
        self.blocking(move |machine| files::make_directory(&machine.places, &request)).await?;
        Ok(Response::new(MakeDirectoryResponse {}))
    }

    async fn remove_path(
        &self,
        request: Request<RemovePathRequest>,
    ) -> Result<Response<RemovePathResponse>, Status> {
        let request = request.into_inner();
        let existed =
            self.blocking(move |machine| files::remove(&machine.places, &request)).await?;
        Ok(Response::new(RemovePathResponse { existed }))
    }

    async fn r#move(
        &self,
        request: Request<MoveRequest>,
    ) -> Result<Response<MoveResponse>, Status> {
        let request = request.into_inner();
        self.blocking(move |machine| files::rename(&machine.places, &request)).await?;
        Ok(Response::new(MoveResponse {}))
    }
}

fn status(error: &FileError) -> Status {
    use std::io::ErrorKind;
    let text = super::chain(error);
    match error {
        FileError::Invalid(_) | FileError::NotAFile(_) | FileError::Length { .. } => {
            Status::invalid_argument(text)
        }
        FileError::User(_) => Status::not_found(text),
        FileError::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => Status::not_found(text),
            ErrorKind::PermissionDenied => Status::permission_denied(text),
            ErrorKind::AlreadyExists => Status::already_exists(text),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Status::resource_exhausted(text),
            ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty => {
                Status::failed_precondition(text)
            }
            _ => Status::internal(text),
        },
    }
}
