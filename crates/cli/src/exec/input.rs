//! Standard input, read on a thread of its own: such a read cannot be cancelled, and must not keep the program from ending.

use std::io::{self, Read as _};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::CliError;

/// How much is read at once.
const PIECE_BYTES: usize = 32 << 10;
/// How many pieces are read ahead.
const PIECES: usize = 4;

/// Standard input in pieces.
#[derive(Debug)]
pub(super) struct Input {
    // None once the end was read, and when there is no input at all.
    pieces: Option<mpsc::Receiver<io::Result<Bytes>>>,
}

impl Input {
    /// No input.
    pub(super) fn none() -> Self {
        Self { pieces: None }
    }

    /// The input of this process.
    pub(super) fn read() -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        // Ends with the input, or with the process.
        thread::spawn(move || read_into(&sender));
        Self { pieces: Some(pieces) }
    }

    /// The next piece, or `None` once at its end. After that, and without input, it waits for ever.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        let Some(pieces) = &mut self.pieces else { return std::future::pending().await };
        let piece = pieces.recv().await.transpose().map_err(CliError::ReadInput)?;
        if piece.is_none() {
            self.pieces = None;
        }
        Ok(piece)
    }
}

fn read_into(sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = match stdin.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                Ok(Bytes::from(piece))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if sender.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn input_ends_once_and_then_waits() {
        let (sender, pieces) = mpsc::channel(1);
        let mut input = Input { pieces: Some(pieces) };
        sender.send(Ok(Bytes::from_static(b"a"))).await.unwrap();
        drop(sender);

        assert_eq!(input.next().await.unwrap(), Some(Bytes::from_static(b"a")));
        assert_eq!(input.next().await.unwrap(), None);
        assert!(input.pieces.is_none());
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), input.next());
        waiting.await.unwrap_err();
    }
}
