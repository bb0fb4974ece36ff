//! A host reads a session's output from its offsets on.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::output::Piece;
use super::session::{Session, State};
use crate::proto::attach_event::Event;
use crate::proto::attach_request::Message;
use crate::proto::{AttachEvent, AttachOpen, AttachRequest, OutputChunk, OutputLost, OutputStream};

/// Events made but not taken by HTTP/2 yet.
const PENDING_EVENTS: usize = 2;

/// What an attachment sends.
pub(crate) type Events = ReceiverStream<Result<AttachEvent, Status>>;

/// Why there is no attachment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("an offset is beyond the end of the stream")]
    BeyondEnd,
}

/// Where the host is in each stream.
#[derive(Clone, Copy)]
struct Position {
    stdout: u64,
    stderr: u64,
}

enum Step {
    Send(Event),
    Last(Event),
    Wait,
    Superseded,
    Removed,
}

/// Takes the session over from any attachment before. Below the offsets everything is acknowledged.
pub(crate) fn attach(
    session: Arc<Session>,
    open: &AttachOpen,
    requests: Streaming<AttachRequest>,
) -> Result<Events, AttachError> {
    let position = Position { stdout: open.stdout_offset, stderr: open.stderr_offset };
    let attachment = session.change(|state| {
        if position.stdout > state.stdout.end() || position.stderr > state.stderr.end() {
            return Err(AttachError::BeyondEnd);
        }
        state.acknowledge(position);
        state.attachments += 1;
        Ok(state.attachments)
    })?;
    let (sender, events) = mpsc::channel(PENDING_EVENTS);
    tokio::spawn(async move {
        tokio::select! {
            () = send_events(&session, attachment, position, &sender) => {}
            () = take_acknowledgements(&session, attachment, requests) => {}
            () = sender.closed() => {}
        }
    });
    Ok(ReceiverStream::new(events))
}

async fn send_events(
    session: &Session,
    attachment: u64,
    mut position: Position,
    sender: &mpsc::Sender<Result<AttachEvent, Status>>,
) {
    let mut changes = session.watch();
    loop {
        let step = session.state().step(attachment, &mut position, session.started);
        let (message, is_last) = match step {
            Step::Send(event) => (Ok(AttachEvent { event: Some(event) }), false),
            Step::Last(event) => (Ok(AttachEvent { event: Some(event) }), true),
            Step::Superseded => (Err(Status::aborted("another host attached")), true),
            Step::Removed => (Err(Status::not_found("the session was removed")), true),
            Step::Wait => {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        if sender.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// Never returns for a host that only stops acknowledging.
async fn take_acknowledgements(
    session: &Session,
    attachment: u64,
    mut requests: Streaming<AttachRequest>,
) {
    loop {
        match requests.message().await {
            Ok(Some(AttachRequest { message: Some(Message::Acknowledge(acknowledge)) })) => {
                session.change(|state| {
                    if state.attachments == attachment {
                        state.acknowledge(Position {
                            stdout: acknowledge.stdout_offset,
                            stderr: acknowledge.stderr_offset,
                        });
                    }
                });
            }
            Ok(Some(_)) => {}
            Ok(None) => std::future::pending().await,
            Err(_broken) => return,
        }
    }
}

impl State {
    fn acknowledge(&mut self, position: Position) {
        self.stdout.acknowledge(position.stdout);
        self.stderr.acknowledge(position.stderr);
    }

    fn step(&self, attachment: u64, position: &mut Position, started: std::time::Instant) -> Step {
        if self.attachments != attachment {
            return Step::Superseded;
        }
        if let Some(piece) = self.stdout.piece(position.stdout) {
            return Step::Send(event(OutputStream::Stdout, piece, &mut position.stdout));
        }
        if let Some(piece) = self.stderr.piece(position.stderr) {
            return Step::Send(event(OutputStream::Stderr, piece, &mut position.stderr));
        }
        match self.exit(started).filter(|_| self.is_complete()) {
            Some(exit) => Step::Last(Event::Exit(exit)),
            None if self.is_removed => Step::Removed,
            None => Step::Wait,
        }
    }
}

/// The piece as the wire has it; moves the position behind it.
fn event(stream: OutputStream, piece: Piece, position: &mut u64) -> Event {
    let stream = stream.into();
    match piece {
        Piece::Data { offset, data } => {
            *position = offset + data.len() as u64;
            Event::Chunk(OutputChunk { stream, offset, data })
        }
        Piece::Lost { from, to } => {
            *position = to;
            Event::Lost(OutputLost { stream, from, to })
        }
    }
}
