//! The client itself: one lazily made connection, and calls with deadlines over it.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connection::{Connection, Requests};
use super::error::ClientError;
use super::target::{Link, Target};
use crate::limits;
use crate::proto::control_client::ControlClient;
use crate::proto::files::files_client::FilesClient;
use crate::proto::mounts::mounts_client::MountsClient;
use crate::proto::sessions_client::SessionsClient;
use crate::proto::{HandshakeRequest, HandshakeResponse};

/// Between two attempts to reach an agent that is not there yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// One machine's agent. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    connection: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connected ahead.
    link: Option<Link>,
    connection: Option<Connection>,
}

/// When a call has to have ended, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) operation: &'static str,
    within: Duration,
    at: Instant,
}

impl Call {
    pub(super) fn new(operation: &'static str, within: Duration) -> Call {
        // A duration too long to count is a day: nothing waits for ever.
        let at = Instant::now().checked_add(within);
        Call {
            operation,
            within,
            at: at.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400)),
        }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn missed(&self) -> ClientError {
        ClientError::Deadline { operation: self.operation, deadline: self.within }
    }

    /// The answer, or the deadline's error.
    pub(super) async fn answer<T>(
        &self,
        calling: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T, ClientError> {
        match timeout_at(self.at, calling).await {
            Ok(answer) => answer.map_err(|status| ClientError::from_status(self.operation, status)),
            Err(_elapsed) => Err(self.missed()),
        }
    }
}

impl Client {
    /// Does no input or output.
    pub fn new(target: Target) -> Client {
        Client { shared: Arc::new(Shared { target, connection: Mutex::default() }) }
    }

    /// Where the agent is reached.
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Frees the connection. Sessions live on in the agent; the next call connects again.
    pub async fn disconnect(&self) {
        *self.shared.connection.lock().await = State::default();
    }

    /// Connects to the VMM's socket, says hello where the transport has one, and waits for nothing: what to do before a
    /// restored VMM resumes. The guest then sees no disconnect, by which it would take itself for a source whose host died.
    /// The next call goes on from here.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub async fn connect_ahead(&self, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("connect ahead", deadline);
        let mut state = self.state(&call).await?;
        *state = State::default();
        state.link = Some(self.shared.target.connect_ahead(call.at()).await?);
        Ok(())
    }

    /// Who answers. Refuses an agent of another protocol version.
    ///
    /// # Errors
    /// [`ClientError::Version`], and as for every call.
    pub async fn handshake(&self, deadline: Duration) -> Result<HandshakeResponse, ClientError> {
        self.shake_hands(&Call::new("handshake", deadline)).await
    }

    /// A handshake that is tried until it succeeds or the deadline passes: a guest that boots.
    ///
    /// # Errors
    /// The last attempt's error when the deadline passes; [`ClientError::Version`] at once.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<HandshakeResponse, ClientError> {
        let call = Call::new("wait for the agent", deadline);
        loop {
            match self.shake_hands(&call).await {
                Err(error) if error.is_broken_channel() => {
                    let next = Instant::now() + RETRY_INTERVAL;
                    if next >= call.at() {
                        return Err(error);
                    }
                    sleep_until(next).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn shake_hands(&self, call: &Call) -> Result<HandshakeResponse, ClientError> {
        let request = HandshakeRequest { protocol_version: limits::PROTOCOL_VERSION };
        let mut control = self.control(call).await?;
        let response = call.answer(control.handshake(request)).await?.into_inner();
        known_version(response)
    }

    /// The connection that is there, or a new one.
    async fn requests(&self, call: &Call) -> Result<Requests, ClientError> {
        let mut state = self.state(call).await?;
        if let Some(usable) = state.connection.as_ref().filter(|connection| connection.is_usable())
        {
            return Ok(usable.requests.clone());
        }
        // The old one goes first: a virtio-serial port has room for one.
        state.connection = None;
        let link = state.link.take();
        let new = Connection::open(&self.shared.target, link, call.at()).await?;
        let requests = new.requests.clone();
        state.connection = Some(new);
        Ok(requests)
    }

    async fn state(&self, call: &Call) -> Result<MutexGuard<'_, State>, ClientError> {
        timeout_at(call.at(), self.shared.connection.lock()).await.map_err(|_elapsed| call.missed())
    }

    pub(super) async fn control(
        &self,
        call: &Call,
    ) -> Result<ControlClient<Requests>, ClientError> {
        let client = ControlClient::with_origin(self.requests(call).await?, origin());
        Ok(client.max_decoding_message_size(limits::MESSAGE_BYTES))
    }

    pub(super) async fn sessions(
        &self,
        call: &Call,
    ) -> Result<SessionsClient<Requests>, ClientError> {
        let client = SessionsClient::with_origin(self.requests(call).await?, origin());
        Ok(client.max_decoding_message_size(limits::MESSAGE_BYTES))
    }

    pub(super) async fn mounts_service(
        &self,
        call: &Call,
    ) -> Result<MountsClient<Requests>, ClientError> {
        let client = MountsClient::with_origin(self.requests(call).await?, origin());
        Ok(client.max_decoding_message_size(limits::MESSAGE_BYTES))
    }

    pub(super) async fn files(&self, call: &Call) -> Result<FilesClient<Requests>, ClientError> {
        let client = FilesClient::with_origin(self.requests(call).await?, origin());
        Ok(client.max_decoding_message_size(limits::MESSAGE_BYTES))
    }
}

/// Refuses an agent of another protocol version.
pub(super) fn known_version(response: HandshakeResponse) -> Result<HandshakeResponse, ClientError> {
    let agent = response.protocol_version;
    if agent == limits::PROTOCOL_VERSION {
        return Ok(response);
    }
    Err(ClientError::Version { agent, host: limits::PROTOCOL_VERSION })
}

/// HTTP/2 wants one; nobody looks at it.
fn origin() -> Uri {
    Uri::from_static("http://agent")
}
