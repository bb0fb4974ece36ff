//! A command in a guest, followed by offset over as many connections as it takes.

use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::command::Command;
use super::core::{Call, Client};
use super::error::ClientError;
use super::input::{SessionControl, SessionInput};
use crate::proto::attach_event::Event as Wire;
use crate::proto::attach_request::Message;
use crate::proto::{
    AttachAcknowledge, AttachEvent, AttachOpen, AttachRequest, FindRequest, OutputChunk,
    OutputLost, OutputStream, SessionExit,
};

/// How much is received before it is acknowledged.
const ACKNOWLEDGE_BYTES: u64 = 64 * 1024;

/// Between two attempts of one call.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// What a command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The next bytes of its stdout, or of its terminal.
    Stdout(Bytes),
    /// The next bytes of its stderr.
    Stderr(Bytes),
    /// So many bytes of the output are gone: with [`Command::drop_oldest_output`] or [`Command::wait_for_reader`], after
    /// a restore, or when what was read long ago is asked for again.
    Lost {
        /// How many.
        bytes: u64,
    },
    /// It ended, and all its output came before.
    Exit(SessionExit),
}

/// The reading half of a session. Dropping it leaves the command running; [`Session::remove`] ends it.
#[derive(Debug)]
pub struct Session {
    client: Client,
    control: SessionControl,
    input: Option<SessionInput>,
    attachment: Option<Attachment>,
    received: AttachAcknowledge,
    acknowledged: AttachAcknowledge,
    lost_before: u64,
    has_exited: bool,
}

#[derive(Debug)]
struct Attachment {
    events: Streaming<AttachEvent>,
    acknowledgements: mpsc::Sender<AttachRequest>,
}

impl Client {
    /// Starts a command as a session of this id. The same id with the same command, while the agent knows it,
    /// is the same session: a call whose answer was lost is simply made again.
    ///
    /// # Errors
    /// As for every call; `NotFound` for a user, program or directory that does not exist, `ResourceExhausted` when the
    /// agent has no room for another session.
    pub async fn start(
        &self,
        session_id: &str,
        command: Command,
        deadline: Duration,
    ) -> Result<Session, ClientError> {
        let call = Call::new("start", deadline);
        let request = command.into_request(session_id);
        loop {
            let outcome = async {
                let mut sessions = self.sessions(&call).await?;
                call.answer(sessions.start(request.clone())).await
            };
            match outcome.await {
                Ok(_response) => break,
                Err(error) => retry(error, &call).await?,
            }
        }
        let mut session = self.session(session_id, 0, 0);
        session.input = request.stdin.then(|| SessionInput::new(self.clone(), session_id, 0));
        Ok(session)
    }

    /// A session that was started before, read on from these offsets.
    pub fn session(&self, session_id: &str, stdout_offset: u64, stderr_offset: u64) -> Session {
        let received = AttachAcknowledge { stdout_offset, stderr_offset };
        Session {
            client: self.clone(),
            control: SessionControl::new(self.clone(), session_id),
            input: None,
            attachment: None,
            received,
            acknowledged: received,
            lost_before: 0,
            has_exited: false,
        }
    }

    /// A session that was started before, by anybody, read on from a position in its whole output (stdout and stderr
    /// together, in the order in which they came), or from the first that is still there. With a stdin that is open, it
    /// has an input that goes on where the command's stands.
    ///
    /// # Errors
    /// As for every call; `NotFound` when the agent does not know it (any more), `OutOfRange` for a position that it has
    /// not reached.
    pub async fn resume(
        &self,
        session_id: &str,
        position: u64,
        deadline: Duration,
    ) -> Result<Session, ClientError> {
        let call = Call::new("find the session", deadline);
        let request = FindRequest { session_id: session_id.to_owned(), position };
        let found = loop {
            let outcome = async {
                let mut sessions = self.sessions(&call).await?;
                call.answer(sessions.find(request.clone())).await
            };
            match outcome.await {
                Ok(response) => break response.into_inner(),
                Err(error) => retry(error, &call).await?,
            }
        };
        let mut session = self.session(session_id, found.stdout_offset, found.stderr_offset);
        session.lost_before = found.position.saturating_sub(position);
        let summary = found.session.unwrap_or_default();
        let input = SessionInput::new(self.clone(), session_id, summary.stdin_accepted);
        session.input = summary.stdin_open.then_some(input);
        Ok(session)
    }
}

/// Before a call is made again that had an answer, but not the wanted one: an agent waits before it answers so, and one
/// that does not shall not keep this host busy.
pub(super) async fn pause(call: &Call) -> Result<(), ClientError> {
    let next = Instant::now() + RETRY_INTERVAL;
    if next >= call.at() {
        return Err(call.missed());
    }
    sleep_until(next).await;
    Ok(())
}

/// Waits before the next attempt, or gives the error back when there is none.
pub(super) async fn retry(error: ClientError, call: &Call) -> Result<(), ClientError> {
    let next = Instant::now() + RETRY_INTERVAL;
    if !error.is_broken_channel() || next >= call.at() {
        return Err(error);
    }
    sleep_until(next).await;
    Ok(())
}

impl Session {
    /// Signals, resize, wait and removal, also while another task reads.
    pub fn control(&self) -> SessionControl {
        self.control.clone()
    }

    /// How much of both together, lost bytes included: where [`Client::resume`] goes on.
    pub fn position(&self) -> u64 {
        self.received.stdout_offset.saturating_add(self.received.stderr_offset)
    }

    /// The writing half, once, of a command that has a stdin.
    pub fn take_input(&mut self) -> Option<SessionInput> {
        self.input.take()
    }

    /// How much of stdout and stderr was handed out: where [`Client::session`] goes on.
    pub fn offsets(&self) -> (u64, u64) {
        (self.received.stdout_offset, self.received.stderr_offset)
    }

    /// The next thing that happens; `None` after the exit. Attaches, and attaches again when the channel breaks, until
    /// the deadline. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Deadline`] when nothing happened in time, after which it can be called again; `NotFound` when
    /// the agent does not know the session (any more).
    pub async fn next_event(&mut self, deadline: Duration) -> Result<Option<Event>, ClientError> {
        let call = Call::new("read output", deadline);
        if self.lost_before > 0 {
            return Ok(Some(Event::Lost { bytes: std::mem::take(&mut self.lost_before) }));
        }
        while !self.has_exited {
            match self.step(&call).await {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) if error.is_broken_channel() => {
                    self.attachment = None;
                    retry(error, &call).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// One message, which may say nothing new.
    async fn step(&mut self, call: &Call) -> Result<Option<Event>, ClientError> {
        let attachment = match &mut self.attachment {
            Some(attachment) => attachment,
            empty => empty.insert(attach(&self.client, &self.control, self.received, call).await?),
        };
        let message = match timeout_at(call.at(), attachment.events.message()).await {
            Err(_elapsed) => return Err(call.missed()),
            Ok(Err(status)) => return Err(ClientError::from_status(call.operation, status)),
            Ok(Ok(message)) => message,
        };
        let event = match message.and_then(|message| message.event) {
            Some(Wire::Chunk(chunk)) => self.take_chunk(chunk)?,
            Some(Wire::Lost(lost)) => self.take_lost(&lost)?,
            Some(Wire::Exit(exit)) => {
                self.has_exited = true;
                self.attachment = None;
                Some(Event::Exit(exit))
            }
            None => {
                self.attachment = None;
                return Err(nonsense("the stream ended without an exit"));
            }
        };
        self.acknowledge();
        Ok(event)
    }

    fn take_chunk(&mut self, chunk: OutputChunk) -> Result<Option<Event>, ClientError> {
        let stream = chunk.stream();
        let expected = self.offset(stream)?;
        let known = expected
            .checked_sub(chunk.offset)
            .ok_or_else(|| nonsense("bytes were left out without a word"))?;
        let mut data = chunk.data;
        data.advance(data.len().min(usize::try_from(known).unwrap_or(usize::MAX)));
        if data.is_empty() {
            return Ok(None);
        }
        *expected = expected.saturating_add(data.len() as u64);
        Ok(Some(match stream {
            OutputStream::Stderr => Event::Stderr(data),
            _ => Event::Stdout(data),
        }))
    }

    fn take_lost(&mut self, lost: &OutputLost) -> Result<Option<Event>, ClientError> {
        let stream = lost.stream();
        let expected = self.offset(stream)?;
        let bytes = lost.to.saturating_sub(*expected);
        *expected += bytes;
        Ok((bytes > 0).then_some(Event::Lost { bytes }))
    }

    fn offset(&mut self, stream: OutputStream) -> Result<&mut u64, ClientError> {
        match stream {
            OutputStream::Stdout => Ok(&mut self.received.stdout_offset),
            OutputStream::Stderr => Ok(&mut self.received.stderr_offset),
            OutputStream::Unspecified => Err(nonsense("output of no stream")),
        }
    }

    /// Tells the agent what it may forget; a full queue is told later.
    fn acknowledge(&mut self) {
        let new = (self.received.stdout_offset - self.acknowledged.stdout_offset)
            + (self.received.stderr_offset - self.acknowledged.stderr_offset);
        if new < ACKNOWLEDGE_BYTES {
            return;
        }
        if let Some(attachment) = &self.attachment {
            let request = AttachRequest { message: Some(Message::Acknowledge(self.received)) };
            if attachment.acknowledgements.try_send(request).is_ok() {
                self.acknowledged = self.received;
            }
        }
    }

    /// Kills the command where it still runs, and makes the agent forget the session.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn remove(self, deadline: Duration) -> Result<(), ClientError> {
        self.control.remove(deadline).await
    }
}

async fn attach(
    client: &Client,
    control: &SessionControl,
    offsets: AttachAcknowledge,
    call: &Call,
) -> Result<Attachment, ClientError> {
    let (acknowledgements, requests) = mpsc::channel(4);
    let open = AttachOpen {
        session_id: control.session_id().to_owned(),
        stdout_offset: offsets.stdout_offset,
        stderr_offset: offsets.stderr_offset,
    };
    let request = AttachRequest { message: Some(Message::Open(open)) };
    acknowledgements.try_send(request).map_err(|_full| nonsense("a new queue has no room"))?;
    let mut sessions = client.sessions(call).await?;
    let events = call.answer(sessions.attach(ReceiverStream::new(requests))).await?.into_inner();
    Ok(Attachment { events, acknowledgements })
}

fn nonsense(reason: &'static str) -> ClientError {
    ClientError::Answer { operation: "read output", reason }
}
