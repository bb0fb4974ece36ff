//! Data on its way to the host, no more than the host has said it takes: a reader that stalls holds back its own stream only.

use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tonic::Status;

use crate::limits;
use crate::proto::files::read_event::Event;
use crate::proto::files::{ReadEnd, ReadEvent, Stat};

/// How long a host may take nothing before the stream is given up.
const STALL: Duration = Duration::from_secs(15 * 60);

/// How much the host has taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credit {
    shared: Arc<(Mutex<Taken>, Condvar)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: u64,
    is_gone: bool,
}

impl Credit {
    /// The host has taken this much in all.
    pub(crate) fn taken(&self, bytes: u64) {
        self.change(|taken| taken.bytes = taken.bytes.max(bytes));
    }

    /// The host is gone.
    pub(crate) fn gone(&self) {
        self.change(|taken| taken.is_gone = true);
    }

    fn change(&self, change: impl FnOnce(&mut Taken)) {
        let (taken, changed) = &*self.shared;
        change(&mut taken.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// Waits until `bytes` in all may have been sent.
    fn wait_for(&self, bytes: u64) -> io::Result<()> {
        let least = bytes.saturating_sub(limits::WINDOW_BYTES);
        let (taken, changed) = &*self.shared;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (taken, waited) = changed
            .wait_timeout_while(taken, STALL, |taken| taken.bytes < least && !taken.is_gone)
            .unwrap_or_else(PoisonError::into_inner);
        match () {
            () if taken.is_gone => Err(io::ErrorKind::BrokenPipe.into()),
            () if waited.timed_out() => Err(io::ErrorKind::TimedOut.into()),
            () => Ok(()),
        }
    }
}

/// One stream to the host, for a thread that may block.
#[derive(Debug)]
pub(crate) struct Outgoing {
    events: mpsc::Sender<Result<ReadEvent, Status>>,
    credit: Credit,
    sent: u64,
    chunk: BytesMut,
}

impl Outgoing {
    pub(crate) fn new(events: mpsc::Sender<Result<ReadEvent, Status>>, credit: Credit) -> Outgoing {
        Outgoing { events, credit, sent: 0, chunk: BytesMut::new() }
    }

    /// Sends what stands at the beginning.
    pub(super) fn stat(&mut self, stat: Stat) -> io::Result<()> {
        self.event(Event::Stat(stat))
    }

    /// Sends all of it.
    pub(super) fn send_all(&mut self, mut content: impl Read) -> io::Result<()> {
        loop {
            let mut chunk = BytesMut::zeroed(limits::CHUNK_BYTES);
            let length = fill(&mut content, &mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            chunk.truncate(length);
            self.send(chunk.freeze())?;
        }
    }

    /// Sends what is left, and that this was all.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.event(Event::End(ReadEnd {}))
    }

    fn send(&mut self, data: Bytes) -> io::Result<()> {
        let after = self.sent + data.len() as u64;
        self.credit.wait_for(after)?;
        self.sent = after;
        self.event(Event::Data(data))
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        self.events
            .blocking_send(Ok(ReadEvent { event: Some(event) }))
            .map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outgoing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = data.len().min(limits::CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&data[..length]);
        if self.chunk.len() == limits::CHUNK_BYTES {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk).freeze();
        self.send(chunk)
    }
}

fn fill(content: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match content.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
