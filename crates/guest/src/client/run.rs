//! A command from start to end, with a bound on what is kept of its output.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::command::Command;
use super::core::Client;
use super::error::ClientError;
use super::session::{Event, Session};
use crate::proto::{ListRequest, SessionExit, SessionSummary};

/// For ending and forgetting a session whose command is done with.
const REMOVE_DEADLINE: Duration = Duration::from_secs(2);

/// What a command said and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The beginning of its stdout.
    pub stdout: Vec<u8>,
    /// The beginning of its stderr.
    pub stderr: Vec<u8>,
    /// More came than was kept.
    pub is_truncated: bool,
    /// How it ended; `None` when the deadline passed first (see [`SessionExit::timed_out`] for its own timeout).
    pub exit: Option<SessionExit>,
}

impl Client {
    /// Runs a command and keeps the first `most_bytes` of each stream; the rest is read and dropped. The command is
    /// gone when this returns, or as soon as the agent can be reached again: give it a [`Command::timeout`] too.
    ///
    /// # Errors
    /// As for [`Client::start`]. A deadline that passes while it runs is an [`Output`] without an exit.
    pub async fn run(
        &self,
        session_id: &str,
        command: Command,
        deadline: Duration,
        most_bytes: usize,
    ) -> Result<Output, ClientError> {
        let started = Instant::now();
        let mut session = self.start(session_id, command, deadline).await?;
        let left = deadline.saturating_sub(started.elapsed());
        let outcome = session.collect(left, most_bytes).await;
        session.forget().await;
        outcome
    }

    /// The sessions that the agent keeps.
    ///
    /// # Errors
    /// As for every call.
    pub async fn list_sessions(
        &self,
        deadline: Duration,
    ) -> Result<Vec<SessionSummary>, ClientError> {
        let call = super::core::Call::new("list sessions", deadline);
        let mut sessions = self.sessions(&call).await?;
        Ok(call.answer(sessions.list(ListRequest {})).await?.into_inner().sessions)
    }
}

impl Session {
    /// Reads to the end of the command and keeps the first `most_bytes` of each stream.
    ///
    /// # Errors
    /// As for [`Session::next_event`]. A deadline that passes while it runs is an [`Output`] without an exit.
    pub async fn collect(
        &mut self,
        deadline: Duration,
        most_bytes: usize,
    ) -> Result<Output, ClientError> {
        let started = Instant::now();
        let mut output = Output::default();
        loop {
            match self.next_event(deadline.saturating_sub(started.elapsed())).await {
                Ok(Some(Event::Exit(exit))) => {
                    output.exit = Some(exit);
                    return Ok(output);
                }
                Ok(Some(event)) => output.keep(event, most_bytes),
                Ok(None) | Err(ClientError::Deadline { .. }) => return Ok(output),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a session that is done with. The agent forgets ended sessions by itself, and its timeout ends the others:
    /// failing here loses nothing.
    pub async fn forget(self) {
        let session_id = self.control().session_id().to_owned();
        if let Err(error) = self.remove(REMOVE_DEADLINE).await {
            tracing::debug!(%error, session_id, "left a session to the agent");
        }
    }
}

impl Output {
    fn keep(&mut self, event: Event, most_bytes: usize) {
        let (kept, data) = match event {
            Event::Stdout(data) => (&mut self.stdout, data),
            Event::Stderr(data) => (&mut self.stderr, data),
            Event::Lost { .. } => {
                self.is_truncated = true;
                return;
            }
            Event::Exit(_) => return,
        };
        self.is_truncated |= append(kept, &data, most_bytes);
    }
}

/// True when something had to be left out.
fn append(kept: &mut Vec<u8>, data: &Bytes, most_bytes: usize) -> bool {
    let room = most_bytes.saturating_sub(kept.len()).min(data.len());
    kept.extend_from_slice(&data[..room]);
    room < data.len()
}
