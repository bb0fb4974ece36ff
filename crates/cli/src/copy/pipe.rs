//! Bytes between a thread that may block and the runtime, a few pieces ahead.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes};
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::progress::Meter;

/// How much one piece holds.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// How many pieces are ahead.
const PIECES: usize = 4;

/// The blocking end that reads.
pub(super) struct PipeReader {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

/// The blocking end that writes.
pub(super) struct PipeWriter {
    pieces: mpsc::Sender<io::Result<Bytes>>,
}

/// Bytes from the runtime to a thread.
pub(super) fn to_thread() -> (mpsc::Sender<Bytes>, PipeReader) {
    let (sender, pieces) = mpsc::channel(PIECES);
    (sender, PipeReader { pieces, current: Bytes::new() })
}

/// Bytes from a thread to the runtime, counted as they are taken. The thread's error ends the stream with it.
pub(super) fn from_thread(
    meter: Meter,
    work: impl FnOnce(&mut PipeWriter) -> io::Result<()> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, pieces) = mpsc::channel(PIECES);
    // Ends with its work, or with the process: such a read cannot be cancelled.
    std::thread::spawn(move || {
        let mut writer = PipeWriter { pieces: sender };
        if let Err(error) = work(&mut writer) {
            // Nobody listens when the request is over.
            drop(writer.pieces.blocking_send(Err(error)));
        }
    });
    futures_util::stream::unfold((pieces, meter), async |(mut pieces, meter)| {
        let piece: io::Result<Bytes> = pieces.recv().await?;
        if let Ok(piece) = &piece {
            meter.add(piece.len() as u64);
        }
        Some((piece, (pieces, meter)))
    })
}

/// Hands on all that can be read.
pub(super) fn pump(mut from: impl Read, to: &mut PipeWriter) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                piece.truncate(length);
                to.send(piece.into())?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl PipeWriter {
    fn send(&mut self, piece: Bytes) -> io::Result<()> {
        self.pieces.blocking_send(Ok(piece)).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = data.len().min(PIECE_BYTES);
        self.send(Bytes::copy_from_slice(&data[..length]))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
