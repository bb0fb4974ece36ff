//! One session of the channel as a byte stream, and the side of it that the link drives.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::frame::MAX_PAYLOAD_BYTES;

/// What a session holds that its reader has not taken; more closes it. It exceeds HTTP/2's window for a connection,
/// so that only a peer that breaks the rules gets there.
pub const QUEUE_BYTES: usize = 512 * 1024;

/// What a session takes from its writer before the link has sent it.
const OUTGOING_BYTES: usize = 4 * MAX_PAYLOAD_BYTES;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer closed it.
    Closed,
    /// A hello with another nonce took its place.
    Superseded,
    /// The stream below ended or failed.
    LinkLost,
    /// The peer sent more than it may.
    Overflow,
}

/// A byte stream that lives as long as its session: reads end with the peer's close, and fail when the session was
/// superseded or the link is lost. Dropping it closes the session.
#[derive(Debug)]
pub struct SessionStream {
    session: Arc<Session>,
}

/// The link's side.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) nonce: u64,
    state: Mutex<State>,
    outgoing_ready: Arc<Notify>,
    abandoned: Notify,
}

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<Bytes>,
    incoming_bytes: usize,
    outgoing: BytesMut,
    is_closing: bool,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What the link sends next for a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    Data(Bytes),
    Close,
}

impl Session {
    /// A session and its stream; `outgoing_ready` is notified when there is something to send.
    pub(super) fn open(nonce: u64, outgoing_ready: Arc<Notify>) -> (Arc<Session>, SessionStream) {
        let session = Arc::new(Session {
            nonce,
            state: Mutex::default(),
            outgoing_ready,
            abandoned: Notify::new(),
        });
        (session.clone(), SessionStream { session })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes from the peer. Never waits, so that a reader that stands still cannot hide the next hello.
    pub(super) fn deliver(&self, payload: Bytes) {
        let mut state = self.state();
        if state.end.is_some() || state.is_closing {
            return;
        }
        if state.incoming_bytes + payload.len() > QUEUE_BYTES {
            state.finish(End::Overflow);
            state.is_closing = true;
            self.outgoing_ready.notify_one();
            return;
        }
        state.incoming_bytes += payload.len();
        state.incoming.push_back(payload);
        wake(&mut state.reader);
    }

    /// What to send next; a close comes after all data, once.
    pub(super) fn next_outgoing(&self) -> Option<Outgoing> {
        let mut state = self.state();
        if !state.outgoing.is_empty() && state.end.is_none() {
            let length = state.outgoing.len().min(MAX_PAYLOAD_BYTES);
            let data = state.outgoing.split_to(length).freeze();
            if state.outgoing.is_empty() {
                state.outgoing = BytesMut::new();
            }
            wake(&mut state.writer);
            return Some(Outgoing::Data(data));
        }
        if state.is_closing {
            state.is_closing = false;
            state.finish(End::Closed);
            return Some(Outgoing::Close);
        }
        None
    }

    /// Ends the session for its reader and writer; the first end counts.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        state.is_closing = false;
        state.finish(end);
    }

    /// Waits, once, until the stream was dropped.
    pub(super) async fn abandoned(&self) {
        self.abandoned.notified().await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().end.is_some()
    }
}

impl State {
    fn finish(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.outgoing = BytesMut::new();
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl AsyncRead for SessionStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.session.state();
        if let Some(front) = state.incoming.front_mut() {
            let length = front.len().min(buffer.remaining());
            buffer.put_slice(&front[..length]);
            front.advance(length);
            if front.is_empty() {
                state.incoming.pop_front();
            }
            state.incoming_bytes -= length;
            return Poll::Ready(Ok(()));
        }
        match state.end {
            Some(End::Closed) => Poll::Ready(Ok(())),
            Some(end) => Poll::Ready(Err(reset(end))),
            None => {
                state.incoming.shrink_to_fit();
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.session.state();
        if let Some(end) = state.end {
            return Poll::Ready(Err(reset(end)));
        }
        if state.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = OUTGOING_BYTES - state.outgoing.len();
        if room == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = room.min(data.len());
        state.outgoing.extend_from_slice(&data[..length]);
        self.session.outgoing_ready.notify_one();
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.session.state();
        match state.end {
            Some(end) => Poll::Ready(Err(reset(end))),
            None if state.outgoing.is_empty() => Poll::Ready(Ok(())),
            None => {
                state.writer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.begin_close();
        Poll::Ready(Ok(()))
    }
}

impl Session {
    fn begin_close(&self) {
        let mut state = self.state();
        if state.end.is_none() {
            state.is_closing = true;
            self.outgoing_ready.notify_one();
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.session.begin_close();
        self.session.abandoned.notify_one();
        let mut state = self.session.state();
        state.incoming = VecDeque::new();
        state.incoming_bytes = 0;
    }
}

fn reset(end: End) -> io::Error {
    let reason = match end {
        End::Closed => return io::ErrorKind::BrokenPipe.into(),
        End::Superseded => "the channel session was superseded by a newer one",
        End::LinkLost => "the channel's link is lost",
        End::Overflow => "the peer sent more than the channel's queue holds",
    };
    io::Error::new(io::ErrorKind::ConnectionReset, reason)
}
