//! Commands as sessions.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{chain, invalid};
use crate::agent::exec::{
    Acknowledger, Attachment, Cut, Detached, Session, StartError, WriteError,
};
use crate::agent::machine::Machine;
use crate::agent::reaper::ToGroup;
use crate::agent::users::UserError;
use crate::proto::attach_event::Event;
use crate::proto::attach_request::Message;
use crate::proto::sessions_server::Sessions;
use crate::proto::{
    AttachEvent, AttachRequest, CloseStdinRequest, CloseStdinResponse, FindRequest, FindResponse,
    ListRequest, ListResponse, RemoveRequest, RemoveResponse, ResizeRequest, ResizeResponse,
    SignalRequest, SignalResponse, StartRequest, StartResponse, WaitRequest, WaitResponse,
    WriteStdinRequest, WriteStdinResponse,
};

/// Events made but not taken by HTTP/2 yet.
const PENDING_EVENTS: usize = 2;

/// No single wait is longer; the host asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Serves `Sessions`.
#[derive(Clone, Debug)]
pub(crate) struct SessionsService {
    pub(crate) machine: Arc<Machine>,
}

impl SessionsService {
    fn session(&self, session_id: &str) -> Result<Arc<Session>, Status> {
        self.machine.sessions.find(session_id).ok_or_else(|| Status::not_found("no such session"))
    }
}

#[tonic::async_trait]
impl Sessions for SessionsService {
    async fn start(
        &self,
        request: Request<StartRequest>,
    ) -> Result<Response<StartResponse>, Status> {
        let thawed = self.machine.freezer.hold_thawed().await;
        let (session, existed) = self
            .machine
            .sessions
            .start(request.into_inner(), &thawed)
            .map_err(|error| start_status(&error))?;
        Ok(Response::new(StartResponse { pid: session.process_id(), existed }))
    }

    type AttachStream = ReceiverStream<Result<AttachEvent, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        let Some(AttachRequest { message: Some(Message::Open(open)) }) = first else {
            return Err(Status::invalid_argument("the first message does not open"));
        };
        let session = self.session(&open.session_id)?;
        let cut = Cut { stdout: open.stdout_offset, stderr: open.stderr_offset };
        let attachment =
            Attachment::open(session, cut).map_err(|error| Status::out_of_range(chain(&error)))?;
        let acknowledger = attachment.acknowledger();
        let (sender, events) = mpsc::channel(PENDING_EVENTS);
        tokio::spawn(async move {
            tokio::select! {
                () = send_events(attachment, &sender) => {}
                () = take_acknowledgements(&acknowledger, requests) => {}
                () = sender.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(events)))
    }

    async fn write_stdin(
        &self,
        request: Request<WriteStdinRequest>,
    ) -> Result<Response<WriteStdinResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        let (accepted_offset, closed) = session
            .write_stdin(request.offset, &request.data)
            .await
            .map_err(|error| write_status(&error))?;
        Ok(Response::new(WriteStdinResponse { accepted_offset, closed }))
    }

    async fn close_stdin(
        &self,
        request: Request<CloseStdinRequest>,
    ) -> Result<Response<CloseStdinResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        session.close_stdin(request.offset).map_err(|error| write_status(&error))?;
        Ok(Response::new(CloseStdinResponse {}))
    }

    async fn signal(
        &self,
        request: Request<SignalRequest>,
    ) -> Result<Response<SignalResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        let signal = Signal::from_named_raw(request.signal)
            .ok_or_else(|| Status::invalid_argument("no such signal"))?;
        let outcome = match request.whole_tree {
            true if signal == Signal::KILL => session.kill_tree(),
            true => session.signal(signal, ToGroup::Yes),
            false => session.signal(signal, ToGroup::No),
        };
        let delivered = outcome.map_err(|error| Status::internal(format!("signal: {error}")))?;
        Ok(Response::new(SignalResponse { delivered }))
    }

    async fn resize(
        &self,
        request: Request<ResizeRequest>,
    ) -> Result<Response<ResizeResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        let size = request.size.ok_or_else(|| Status::invalid_argument("no size"))?;
        match session.resize(size) {
            Ok(true) => Ok(Response::new(ResizeResponse {})),
            Ok(false) => Err(Status::failed_precondition("the session has no terminal")),
            Err(error) => Err(Status::internal(format!("resize: {error}"))),
        }
    }

    async fn wait(&self, request: Request<WaitRequest>) -> Result<Response<WaitResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        let within = Duration::from_millis(request.timeout_ms.into()).min(LONGEST_WAIT);
        Ok(Response::new(WaitResponse { exit: session.wait(within).await }))
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        Ok(Response::new(ListResponse { sessions: self.machine.sessions.list() }))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindResponse>, Status> {
        let request = request.into_inner();
        let session = self.session(&request.session_id)?;
        let cut = session
            .find(request.position)
            .ok_or_else(|| Status::out_of_range("the position is beyond the end of the output"))?;
        Ok(Response::new(FindResponse {
            session: Some(session.summary()),
            stdout_offset: cut.stdout,
            stderr_offset: cut.stderr,
            position: cut.position().max(request.position),
        }))
    }

    async fn remove(
        &self,
        request: Request<RemoveRequest>,
    ) -> Result<Response<RemoveResponse>, Status> {
        let existed = self
            .machine
            .sessions
            .remove(&request.into_inner().session_id)
            .map_err(|error| Status::internal(format!("kill the session: {error}")))?;
        Ok(Response::new(RemoveResponse { existed }))
    }
}

async fn send_events(
    mut attachment: Attachment,
    sender: &mpsc::Sender<Result<AttachEvent, Status>>,
) {
    loop {
        let (message, is_last) = match attachment.next().await {
            Ok(event) => {
                let is_last = matches!(event, Event::Exit(_));
                (Ok(AttachEvent { event: Some(event) }), is_last)
            }
            Err(Detached::Superseded) => (Err(Status::aborted("another host attached")), true),
            Err(Detached::Removed) => (Err(Status::not_found("the session was removed")), true),
        };
        if sender.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// Never returns for a host that only stops acknowledging.
async fn take_acknowledgements(
    acknowledger: &Acknowledger,
    mut requests: Streaming<AttachRequest>,
) {
    loop {
        match requests.message().await {
            Ok(Some(AttachRequest { message: Some(Message::Acknowledge(acknowledge)) })) => {
                acknowledger.acknowledge(Cut {
                    stdout: acknowledge.stdout_offset,
                    stderr: acknowledge.stderr_offset,
                });
            }
            Ok(Some(_)) => {}
            Ok(None) => std::future::pending().await,
            Err(_broken) => return,
        }
    }
}

fn start_status(error: &StartError) -> Status {
    match error {
        StartError::Invalid(_) => invalid(error),
        StartError::Taken => Status::already_exists(chain(error)),
        StartError::Full => Status::resource_exhausted(chain(error)),
        StartError::User(UserError::Unknown(_)) | StartError::Directory(_) => {
            Status::not_found(chain(error))
        }
        StartError::Spawn { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => Status::not_found(chain(error)),
            std::io::ErrorKind::PermissionDenied => Status::permission_denied(chain(error)),
            _ => Status::internal(chain(error)),
        },
        StartError::User(UserError::Read(_)) | StartError::Resources(_) => {
            Status::internal(chain(error))
        }
    }
}

fn write_status(error: &WriteError) -> Status {
    match error {
        WriteError::None | WriteError::Closed => Status::failed_precondition(chain(error)),
        WriteError::Gap { .. } => Status::out_of_range(chain(error)),
    }
}
