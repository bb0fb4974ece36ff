//! Commands as sessions.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tonic::{Request, Response, Status, Streaming};

use super::{chain, invalid};
use crate::agent::exec::{self, Session, StartError, WriteError};
use crate::agent::machine::Machine;
use crate::agent::reaper::ToGroup;
use crate::agent::users::UserError;
use crate::proto::attach_request::Message;
use crate::proto::sessions_server::Sessions;
use crate::proto::{
    AttachEvent, AttachRequest, CloseStdinRequest, CloseStdinResponse, ListRequest, ListResponse,
    RemoveRequest, RemoveResponse, ResizeRequest, ResizeResponse, SignalRequest, SignalResponse,
    StartRequest, StartResponse, WaitRequest, WaitResponse, WriteStdinRequest, WriteStdinResponse,
};
use tokio_stream::wrappers::ReceiverStream;

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
        let pid = session.pid.as_raw_nonzero().get().unsigned_abs();
        Ok(Response::new(StartResponse { pid, existed }))
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
        let events = exec::attach(session, &open, requests)
            .map_err(|error| Status::out_of_range(chain(&error)))?;
        Ok(Response::new(events))
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
