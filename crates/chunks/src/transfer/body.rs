//! A part of a file as a request body, read ahead of the network on the blocking pool.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use tokio::sync::mpsc;

use crate::files::Extent;

/// Buffers read ahead of the network.
const READ_AHEAD: usize = 2;

/// What went wrong with the file under a body, since an HTTP client reports only that the body
/// failed.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyFault(Arc<Mutex<Option<io::Error>>>);

impl BodyFault {
    fn set(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The fault, if the file was the cause.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The body, and where a fault of the file is found. Its first byte is held back for as long as
/// `hold_back`. The reader ends when the body is dropped.
pub(super) fn part_body(
    file: Arc<File>,
    extent: Extent,
    buffer_bytes: usize,
    hold_back: Duration,
) -> (reqwest::Body, BodyFault) {
    let (sender, mut receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || read_ahead(&file, extent, buffer_bytes.max(1), &sender));
    let fault = BodyFault::default();
    let fault_of_body = fault.clone();
    let pieces = stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|piece: Option<io::Result<Bytes>>| {
            piece.map(|piece| {
                piece.map_err(|error| {
                    let kind = error.kind();
                    fault_of_body.set(error);
                    io::Error::from(kind)
                })
            })
        })
    });
    let hold = stream::once(tokio::time::sleep(hold_back)).filter_map(|()| future::ready(None));
    (reqwest::Body::wrap_stream(hold.chain(pieces)), fault)
}

fn read_ahead(
    file: &File,
    extent: Extent,
    buffer_bytes: usize,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) {
    let mut offset = extent.offset_bytes;
    while offset < extent.end_bytes() {
        let wanted = (extent.end_bytes() - offset).min(buffer_bytes as u64) as usize;
        let piece = read_piece(file, offset, wanted);
        let read = piece.as_ref().map_or(0, Bytes::len) as u64;
        // A receiver that is gone means that nobody wants the rest.
        if sender.blocking_send(piece).is_err() || read == 0 {
            return;
        }
        offset += read;
    }
}

/// Reads up to `wanted` bytes, at least one, into fresh memory without zeroing it first.
fn read_piece(file: &File, offset: u64, wanted: usize) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(wanted);
    let mut read = || rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), offset);
    let count = rustix::io::retry_on_intr(&mut read)?;
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    // An allocation may have more room than was asked for.
    buffer.truncate(wanted);
    Ok(buffer.into())
}
