//! The parts of a session that do not read: stdin by offset, signals, size, removal.

use std::time::Duration;

use bytes::{Buf, Bytes};

use super::core::{Call, Client};
use super::error::ClientError;
use super::session::{pause, retry};
use crate::limits;
use crate::proto::{
    CloseStdinRequest, RemoveRequest, ResizeRequest, SessionExit, SignalRequest, TerminalSize,
    WaitRequest, WriteStdinRequest,
};

/// How long the agent waits in one `Wait` call, below the caller's deadline.
const WAIT_STEP: Duration = Duration::from_secs(20);

/// The stdin of a command. Each byte arrives once, in order, also when the channel breaks or a call's future is
/// dropped: what was not confirmed is sent again by the next call, at the same offset.
#[derive(Debug)]
pub struct SessionInput {
    client: Client,
    session_id: String,
    offset: u64,
    unconfirmed: Bytes,
}

/// Whether a command still takes input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// All was taken.
    Open,
    /// The command ended or closed its stdin; the rest was dropped.
    Closed,
}

impl SessionInput {
    /// From this offset on.
    pub(super) fn new(client: Client, session_id: &str, offset: u64) -> SessionInput {
        let session_id = session_id.to_owned();
        SessionInput { client, session_id, offset, unconfirmed: Bytes::new() }
    }

    /// How much the command has taken in all, as far as that was confirmed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Sends bytes to the command, as fast as it reads them.
    ///
    /// # Errors
    /// As for every call. After [`ClientError::Deadline`] the bytes are still to be sent, by the next call.
    pub async fn write(&mut self, data: Bytes, deadline: Duration) -> Result<Stdin, ClientError> {
        let call = Call::new("write stdin", deadline);
        match self.confirm(&call).await? {
            Stdin::Closed => return Ok(Stdin::Closed),
            Stdin::Open => self.unconfirmed = data,
        }
        self.confirm(&call).await
    }

    /// Ends the command's input after all that was written; with a terminal, types the end-of-file character.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn close(&mut self, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("close stdin", deadline);
        if self.confirm(&call).await? == Stdin::Closed {
            return Ok(());
        }
        loop {
            let outcome = async {
                let mut sessions = self.client.sessions(&call).await?;
                let request =
                    CloseStdinRequest { session_id: self.session_id.clone(), offset: self.offset };
                call.answer(sessions.close_stdin(request)).await
            };
            match outcome.await {
                Ok(_response) => return Ok(()),
                Err(error) => retry(error, &call).await?,
            }
        }
    }

    async fn confirm(&mut self, call: &Call) -> Result<Stdin, ClientError> {
        while !self.unconfirmed.is_empty() {
            match self.send_once(call).await {
                Ok(Stdin::Open) => {}
                Ok(Stdin::Closed) => {
                    self.unconfirmed = Bytes::new();
                    return Ok(Stdin::Closed);
                }
                Err(error) => retry(error, call).await?,
            }
        }
        Ok(Stdin::Open)
    }

    async fn send_once(&mut self, call: &Call) -> Result<Stdin, ClientError> {
        let data = self.unconfirmed.slice(..self.unconfirmed.len().min(limits::CHUNK_BYTES));
        let length = data.len() as u64;
        let request =
            WriteStdinRequest { session_id: self.session_id.clone(), offset: self.offset, data };
        let mut sessions = self.client.sessions(call).await?;
        let response = call.answer(sessions.write_stdin(request)).await?.into_inner();
        if response.closed {
            return Ok(Stdin::Closed);
        }
        let taken = response
            .accepted_offset
            .checked_sub(self.offset)
            .filter(|taken| *taken <= length)
            .and_then(|taken| usize::try_from(taken).ok())
            .ok_or(ClientError::Answer {
                operation: call.operation,
                reason: "an offset outside of what was sent",
            })?;
        self.unconfirmed.advance(taken);
        self.offset = response.accepted_offset;
        if taken == 0 {
            pause(call).await?;
        }
        Ok(Stdin::Open)
    }
}

/// What can be done to a session from anywhere.
#[derive(Clone, Debug)]
pub struct SessionControl {
    client: Client,
    session_id: String,
}

impl SessionControl {
    pub(super) fn new(client: Client, session_id: &str) -> SessionControl {
        SessionControl { client, session_id: session_id.to_owned() }
    }

    /// The id that the host chose.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Sends a signal to the command's own process; false when it had ended.
    ///
    /// # Errors
    /// As for every call.
    pub async fn signal(&self, signal: i32, deadline: Duration) -> Result<bool, ClientError> {
        let session_id = self.session_id.clone();
        self.send_signal(SignalRequest { session_id, signal, whole_tree: false }, deadline).await
    }

    /// Kills every process of the session; false when the command had ended.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn kill(&self, deadline: Duration) -> Result<bool, ClientError> {
        let session_id = self.session_id.clone();
        let signal = libc::SIGKILL;
        self.send_signal(SignalRequest { session_id, signal, whole_tree: true }, deadline).await
    }

    async fn send_signal(
        &self,
        request: SignalRequest,
        deadline: Duration,
    ) -> Result<bool, ClientError> {
        let call = Call::new("signal", deadline);
        let mut sessions = self.client.sessions(&call).await?;
        Ok(call.answer(sessions.signal(request)).await?.into_inner().delivered)
    }

    /// Tells a command with a terminal its new size.
    ///
    /// # Errors
    /// As for every call; `FailedPrecondition` without a terminal.
    pub async fn resize(&self, size: TerminalSize, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("resize", deadline);
        let mut sessions = self.client.sessions(&call).await?;
        let request = ResizeRequest { session_id: self.session_id.clone(), size: Some(size) };
        call.answer(sessions.resize(request)).await.map(drop)
    }

    /// Waits for the end of the command without reading its output.
    ///
    /// # Errors
    /// [`ClientError::Deadline`] while it still runs, and as for every call.
    pub async fn wait(&self, deadline: Duration) -> Result<SessionExit, ClientError> {
        let call = Call::new("wait", deadline);
        loop {
            let outcome = async {
                let mut sessions = self.client.sessions(&call).await?;
                let timeout_ms = u32::try_from(WAIT_STEP.as_millis()).unwrap_or(u32::MAX);
                let request = WaitRequest { session_id: self.session_id.clone(), timeout_ms };
                call.answer(sessions.wait(request)).await
            };
            match outcome.await {
                Ok(response) => {
                    if let Some(exit) = response.into_inner().exit {
                        return Ok(exit);
                    }
                    pause(&call).await?;
                }
                Err(error) => retry(error, &call).await?,
            }
        }
    }

    /// Kills the command where it still runs, and makes the agent forget the session.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn remove(&self, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("remove", deadline);
        let mut sessions = self.client.sessions(&call).await?;
        let request = RemoveRequest { session_id: self.session_id.clone() };
        call.answer(sessions.remove(request)).await.map(drop)
    }
}
