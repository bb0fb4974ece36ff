//! Data on its way from the host. What arrived and was not read yet waits here, never in the connection: the host sends no more
//! than the window, and is told how much was read.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tonic::Status;

use crate::proto::files::WriteEvent;
use crate::proto::files::write_event::Event;

/// What the host says after it has opened a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Data.
    Data(Bytes),
    /// All data came.
    End,
}

/// One stream from the host, for a thread that may block. A stream that is cut is an error, never an end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pieces: mpsc::Receiver<Piece>,
    events: mpsc::Sender<Result<WriteEvent, Status>>,
    current: Bytes,
    taken: u64,
    has_ended: bool,
}

impl Incoming {
    pub(crate) fn new(
        pieces: mpsc::Receiver<Piece>,
        events: mpsc::Sender<Result<WriteEvent, Status>>,
    ) -> Incoming {
        Incoming { pieces, events, current: Bytes::new(), taken: 0, has_ended: false }
    }

    fn next_piece(&mut self) -> io::Result<()> {
        match self.pieces.blocking_recv() {
            Some(Piece::Data(data)) => {
                self.taken += data.len() as u64;
                self.current = data;
                let event = WriteEvent { event: Some(Event::Taken(self.taken)) };
                self.events
                    .blocking_send(Ok(event))
                    .map_err(|_gone| io::Error::from(io::ErrorKind::BrokenPipe))
            }
            Some(Piece::End) => {
                self.has_ended = true;
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.has_ended {
            self.next_piece()?;
        }
        let length = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
