//! What both ends do with the stream below: read frames, write frames, with control frames first.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

use super::decoder::Decoder;
use super::frame::{Frame, Kind, encode};
use super::session::{Outgoing, Session};

/// Control frames that wait to be sent; one more replaces none of them and is dropped, since each is either
/// repeated by its sender or made void by a newer one.
const CONTROL_FRAMES: usize = 16;

const READ_BYTES: usize = 8 * 1024;

/// The state that reader and writer of one link share.
#[derive(Debug, Default)]
pub(super) struct Link {
    state: Mutex<State>,
    pub(super) outgoing_ready: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Session>>,
    control: VecDeque<Frame>,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current(&self) -> Option<Arc<Session>> {
        self.state().current.clone()
    }

    /// Puts a session in the place of the one before it, which is answered.
    pub(super) fn replace(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut state = self.state();
        state.control.clear();
        state.current.replace(session)
    }

    pub(super) fn send_control(&self, frame: Frame) {
        let mut state = self.state();
        if state.control.len() < CONTROL_FRAMES && !state.control.contains(&frame) {
            state.control.push_back(frame);
            self.outgoing_ready.notify_one();
        }
    }

    fn next_frame(&self) -> Option<Frame> {
        let mut state = self.state();
        if let Some(frame) = state.control.pop_front() {
            return Some(frame);
        }
        let session = state.current.clone()?;
        let nonce = session.nonce;
        match session.next_outgoing()? {
            Outgoing::Data(payload) => Some(Frame { kind: Kind::Data, nonce, payload }),
            Outgoing::Close => Some(Frame::bare(Kind::Close, nonce)),
        }
    }
}

/// Writes frames as they come up; returns after the last one, or with the stream's error.
pub(super) async fn write_frames<W: AsyncWrite + Unpin>(
    link: &Link,
    mut writer: W,
    is_last: impl Fn(&Frame) -> bool,
) -> io::Result<()> {
    loop {
        let Some(frame) = link.next_frame() else {
            link.outgoing_ready.notified().await;
            continue;
        };
        let mut wire = BytesMut::new();
        encode(&frame, &mut wire);
        writer.write_all(&wire).await?;
        writer.flush().await?;
        if is_last(&frame) {
            return Ok(());
        }
    }
}

/// Hands every frame to `on_frame` until the stream ends. Between reads it holds no buffer.
pub(super) async fn read_frames<R: AsyncRead + Unpin>(
    mut reader: R,
    mut on_frame: impl FnMut(Frame),
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut damaged = 0;
    while poll_fn(|context| poll_chunk(&mut reader, context, &mut decoder, &mut on_frame)).await? {
        if decoder.damaged() != damaged {
            damaged = decoder.damaged();
            tracing::debug!(damaged, "skipped bytes that were no frame");
        }
    }
    Ok(())
}

/// False at the end of the stream.
fn poll_chunk<R: AsyncRead + Unpin>(
    reader: &mut R,
    context: &mut Context<'_>,
    decoder: &mut Decoder,
    on_frame: &mut impl FnMut(Frame),
) -> Poll<io::Result<bool>> {
    let mut bytes = [0; READ_BYTES];
    let mut buffer = ReadBuf::new(&mut bytes);
    match Pin::new(reader).poll_read(context, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => {
            decoder.push(buffer.filled(), on_frame);
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        }
    }
}
