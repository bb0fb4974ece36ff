//! Files of the guest.
//!
//! File systems may block for as long as they like (a mounted bucket does), so each call has a thread of a bounded number, short calls
//! apart from streams: neither keeps the other waiting, nor anything else of the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::files::{
    self, Credit, Destination, FileError, Incoming, Kind, Names, Outgoing, Piece, Source, Watcher,
    Workspace,
};
use crate::agent::machine::Machine;
use crate::limits;
use crate::proto::files::files_server::Files;
use crate::proto::files::read_request::Request as Reading;
use crate::proto::files::write_event::Event as Wrote;
use crate::proto::files::write_request::Request as Writing;
use crate::proto::files::{
    GrepRequest, GrepResponse, ListRequest, ListResponse, MakeDirectoryRequest,
    MakeDirectoryResponse, MoveRequest, MoveResponse, ReadEvent, ReadRequest, RemoveRequest,
    RemoveResponse, StatRequest, StatResponse, WatchEvent, WatchRequest, WriteDone, WriteEvent,
    WriteRequest,
};

/// Events made but not taken by HTTP/2 yet.
const PENDING_EVENTS: usize = 4;
/// Pieces of an upload that wait to be written: the window, in whole chunks and a few smaller ones.
const PENDING_PIECES: usize = 64;

type Events<T> = ReceiverStream<Result<T, Status>>;

/// Serves `Files`.
#[derive(Clone, Debug)]
pub(crate) struct FilesService {
    machine: Arc<Machine>,
    names: Names,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl FilesService {
    pub(crate) fn new(machine: Arc<Machine>) -> FilesService {
        FilesService {
            machine,
            names: Names::default(),
            calls: Arc::new(Semaphore::new(limits::FILE_CALLS)),
            streams: Arc::new(Semaphore::new(limits::FILE_STREAMS)),
        }
    }

    /// A short call, on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Workspace) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, Status> {
        let permit = permit(&self.calls).await?;
        let machine = self.machine.clone();
        let working = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&open(&machine)?)
        });
        joined(working.await)
    }

    /// Pages made on a thread that may block.
    async fn pages<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Workspace, &mut dyn FnMut(T) -> bool) -> Result<(), FileError>
        + Send
        + 'static,
    ) -> Result<Response<Events<T>>, Status> {
        let permit = permit(&self.streams).await?;
        let machine = self.machine.clone();
        let (sender, pages) = mpsc::channel(PENDING_EVENTS);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut page = |page| sender.blocking_send(Ok(page)).is_ok();
            let outcome = open(&machine).and_then(|workspace| work(&workspace, &mut page));
            tell_error(&sender, outcome);
        });
        Ok(Response::new(ReceiverStream::new(pages)))
    }
}

#[tonic::async_trait]
impl Files for FilesService {
    type ReadStream = Events<ReadEvent>;
    type WriteStream = Events<WriteEvent>;
    type ListStream = Events<ListResponse>;
    type GrepStream = Events<GrepResponse>;
    type WatchStream = Events<WatchEvent>;

    async fn read(
        &self,
        request: Request<Streaming<ReadRequest>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let mut requests = request.into_inner();
        let Some(ReadRequest { request: Some(Reading::Open(opening)) }) =
            requests.message().await?
        else {
            return Err(Status::invalid_argument("the first request opens"));
        };
        let permit = permit(&self.streams).await?;
        let machine = self.machine.clone();
        let source = tokio::task::spawn_blocking(move || Source::open(open(&machine)?, &opening));
        let source = joined(source.await)?;

        let (sender, events) = mpsc::channel(PENDING_EVENTS);
        let credit = Credit::default();
        let outgoing = Outgoing::new(sender.clone(), credit.clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            tell_error(&sender, source.send(outgoing));
        });
        tokio::spawn(async move {
            while let Ok(Some(ReadRequest { request: Some(Reading::Taken(bytes)) })) =
                requests.message().await
            {
                credit.taken(bytes);
            }
            credit.gone();
        });
        Ok(Response::new(ReceiverStream::new(events)))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let mut requests = request.into_inner();
        let Some(WriteRequest { request: Some(Writing::Open(opening)) }) =
            requests.message().await?
        else {
            return Err(Status::invalid_argument("the first request opens"));
        };
        let permit = permit(&self.streams).await?;
        let (machine, names) = (self.machine.clone(), self.names.clone());
        let (piece_sender, pieces) = mpsc::channel(PENDING_PIECES);
        let (sender, events) = mpsc::channel(PENDING_EVENTS);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let incoming = Incoming::new(pieces, sender.clone());
            let outcome = open(&machine).and_then(|workspace| {
                Destination { workspace, names, open: opening }.take(incoming)
            });
            let outcome = outcome.map(|written| {
                let done = WriteDone { stat: Some(written.stat), entries: written.entries };
                // A host that is gone is not told.
                drop(sender.blocking_send(Ok(WriteEvent { event: Some(Wrote::Done(done)) })));
            });
            tell_error(&sender, outcome);
        });
        tokio::spawn(async move {
            while let Ok(Some(WriteRequest { request: Some(request) })) = requests.message().await {
                let piece = match request {
                    Writing::Data(data) => Piece::Data(data),
                    Writing::End(_) => Piece::End,
                    Writing::Open(_) => return,
                };
                if piece_sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(events)))
    }

    async fn stat(&self, request: Request<StatRequest>) -> Result<Response<StatResponse>, Status> {
        let path = PathBuf::from(request.into_inner().path);
        let stat = self.call(move |workspace| files::stat(workspace, &path)).await?;
        Ok(Response::new(StatResponse { stat }))
    }

    async fn list(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let request = request.into_inner();
        self.pages(move |workspace, page| files::list(workspace, &request, page)).await
    }

    async fn make_directory(
        &self,
        request: Request<MakeDirectoryRequest>,
    ) -> Result<Response<MakeDirectoryResponse>, Status> {
        let request = request.into_inner();
        self.call(move |workspace| files::make_directory(workspace, &request)).await?;
        Ok(Response::new(MakeDirectoryResponse {}))
    }

    async fn remove(
        &self,
        request: Request<RemoveRequest>,
    ) -> Result<Response<RemoveResponse>, Status> {
        let request = request.into_inner();
        self.call(move |workspace| {
            files::remove(workspace, Path::new(&request.path), request.recursive)
        })
        .await?;
        Ok(Response::new(RemoveResponse {}))
    }

    async fn r#move(
        &self,
        request: Request<MoveRequest>,
    ) -> Result<Response<MoveResponse>, Status> {
        let MoveRequest { from, to } = request.into_inner();
        self.call(move |workspace| files::rename(workspace, Path::new(&from), Path::new(&to)))
            .await?;
        Ok(Response::new(MoveResponse {}))
    }

    async fn grep(
        &self,
        request: Request<GrepRequest>,
    ) -> Result<Response<Self::GrepStream>, Status> {
        let request = request.into_inner();
        self.pages(move |workspace, page| files::grep(workspace, &request, page)).await
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let path = PathBuf::from(request.into_inner().path);
        let permit = permit(&self.streams).await?;
        let machine = self.machine.clone();
        let runtime = tokio::runtime::Handle::current();
        let watcher = tokio::task::spawn_blocking(move || {
            let _inside = runtime.enter();
            Watcher::begin(open(&machine)?, path)
        });
        let watcher = joined(watcher.await)?;
        let (sender, events) = mpsc::channel(PENDING_EVENTS);
        tokio::spawn(async move {
            let _permit = permit;
            watcher.run(sender).await;
        });
        Ok(Response::new(ReceiverStream::new(events)))
    }
}

fn open(machine: &Machine) -> Result<Workspace, FileError> {
    Workspace::open(&machine.places, &machine.login_user)
}

async fn permit(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(semaphore)
        .acquire_owned()
        .await
        .map_err(|_closed| Status::internal("the agent is ending"))
}

fn joined<T>(outcome: Result<Result<T, FileError>, tokio::task::JoinError>) -> Result<T, Status> {
    outcome
        .map_err(|_ended| Status::internal("the agent is ending"))?
        .map_err(|error| status(&error))
}

/// The last word of a stream that did not go well. A host that is gone is not told.
fn tell_error<T>(sender: &mpsc::Sender<Result<T, Status>>, outcome: Result<(), FileError>) {
    if let Err(error) = outcome {
        drop(sender.blocking_send(Err(status(&error))));
    }
}

fn status(error: &FileError) -> Status {
    let text = super::chain(error);
    match error.kind() {
        Kind::Absent => Status::not_found(text),
        Kind::Exists => Status::already_exists(text),
        Kind::Invalid => Status::invalid_argument(text),
        Kind::Unfit => Status::failed_precondition(text),
        Kind::Version => Status::aborted(text),
        Kind::Full => Status::resource_exhausted(text),
        Kind::Failed => Status::data_loss(text),
    }
}
