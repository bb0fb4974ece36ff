//! Somebody reads a session's output, from a cut on.

use std::sync::Arc;

use tokio::sync::watch;

use super::output::{Cut, Piece};
use super::session::{Session, State};
use crate::proto::attach_event::Event;
use crate::proto::{OutputChunk, OutputLost};

/// Why there is no attachment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error("the offsets are beyond the end of the output, or not of one moment")]
    NoSuchCut,
}

/// Why an attachment has no more to say before the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    /// Another one took the session over.
    Superseded,
    /// The session was removed.
    Removed,
}

/// The reading end of a session. The newest one reads, those before it are told so; dropped, it leaves.
#[derive(Debug)]
pub(crate) struct Attachment {
    session: Arc<Session>,
    number: u64,
    reached: Cut,
    changes: watch::Receiver<u64>,
}

enum Step {
    Event(Event),
    Wait,
    Detached(Detached),
}

impl Attachment {
    /// Takes the session over from any attachment before. Everything before the cut is acknowledged.
    pub(crate) fn open(session: Arc<Session>, cut: Cut) -> Result<Attachment, AttachError> {
        let changes = session.watch();
        let number = session.change(|state| {
            if !state.output.is_cut(cut) {
                return Err(AttachError::NoSuchCut);
            }
            state.output.acknowledge(cut);
            Ok(state.readers.enter())
        })?;
        Ok(Attachment { session, number, reached: cut, changes })
    }

    /// The same from where the last reader came to.
    pub(crate) fn open_unread(session: Arc<Session>) -> Attachment {
        let changes = session.watch();
        let (number, reached) =
            session.change(|state| (state.readers.enter(), state.output.acknowledged()));
        Attachment { session, number, reached, changes }
    }

    /// The next thing; waits for it. After an exit there is nothing more.
    pub(crate) async fn next(&mut self) -> Result<Event, Detached> {
        loop {
            let step = self.session.state().step(self.number, &mut self.reached, &self.session);
            match step {
                Step::Event(event) => return Ok(event),
                Step::Detached(why) => return Err(why),
                Step::Wait => {
                    // The sender lives in the session: it cannot close.
                    if self.changes.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }

    /// Everything that was handed out has arrived.
    pub(crate) fn acknowledge(&self) {
        self.acknowledger().acknowledge(self.reached);
    }

    /// Takes acknowledgements while another task reads.
    pub(crate) fn acknowledger(&self) -> Acknowledger {
        Acknowledger { session: self.session.clone(), number: self.number }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let number = self.number;
        self.session.change(|state| state.readers.leave(number));
    }
}

/// Says how far the reader of an attachment has come.
#[derive(Debug)]
pub(crate) struct Acknowledger {
    session: Arc<Session>,
    number: u64,
}

impl Acknowledger {
    /// Everything before the cut has arrived.
    pub(crate) fn acknowledge(&self, cut: Cut) {
        self.session.change(|state| {
            if state.readers.is_newest(self.number) {
                state.output.acknowledge(cut);
            }
        });
    }
}

impl State {
    fn step(&self, attachment: u64, reached: &mut Cut, session: &Session) -> Step {
        if !self.readers.is_newest(attachment) {
            return Step::Detached(Detached::Superseded);
        }
        if let Some(piece) = self.output.piece(*reached) {
            return Step::Event(event(piece, reached));
        }
        match self.exit(session.started).filter(|_| self.is_complete()) {
            Some(exit) => Step::Event(Event::Exit(exit)),
            None if self.is_removed => Step::Detached(Detached::Removed),
            None => Step::Wait,
        }
    }
}

/// The piece as the wire has it; moves the cut behind it.
fn event(piece: Piece, reached: &mut Cut) -> Event {
    match piece {
        Piece::Data { stream, offset, data } => {
            *reached.of(stream) = offset + data.len() as u64;
            Event::Chunk(OutputChunk { stream: stream.into(), offset, data })
        }
        Piece::Lost { stream, from, to } => {
            *reached.of(stream) = to;
            Event::Lost(OutputLost { stream: stream.into(), from, to })
        }
    }
}
