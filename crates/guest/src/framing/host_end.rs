//! The host's end: says hello until it is answered, then drives the one session of its stream.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout_at};

use super::frame::{Frame, Kind, encode};
use super::link::{Link, read_frames, write_frames};
use super::session::{End, Session, SessionStream};

/// The version of the framing, in every hello.
pub(super) const FRAMING_VERSION: u8 = 1;

/// A hello is small, and a guest that boots or was just restored may miss one.
const HELLO_INTERVAL: Duration = Duration::from_millis(250);

/// How long a close may take to be written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Why no session came to be.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// Nobody answered in time: no agent, or a guest that does not run.
    #[error("the agent did not answer the hello in time")]
    Deadline,
    /// The agent does not speak this framing.
    #[error("the agent refused the hello")]
    Refused,
    /// The stream ended or failed.
    #[error("the channel's stream ended before the hello was answered")]
    Ended(#[source] io::Error),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Open,
    Refused,
}

/// Starts a session over `stream`, which carries frames and belongs to the session from here on. `nonce` must be
/// new: it is what tells this session from all others that the guest ever saw.
///
/// # Errors
/// See [`HelloError`].
pub async fn open<S>(stream: S, nonce: u64, deadline: Instant) -> Result<SessionStream, HelloError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let link = Arc::new(Link::default());
    let (session, session_stream) = Session::open(nonce, link.outgoing_ready.clone());
    link.replace(session.clone());
    let (stage, mut watched) = watch::channel(Stage::Waiting);
    let driver = tokio::spawn(drive(stream, link.clone(), session, stage));

    let mut hellos = interval(HELLO_INTERVAL);
    let answered = timeout_at(deadline, async {
        loop {
            tokio::select! {
                changed = watched.changed() => return changed.map(|()| *watched.borrow()).ok(),
                _ = hellos.tick() => link.send_control(hello_frame(nonce)),
            }
        }
    })
    .await;
    match answered {
        Ok(Some(Stage::Open)) => Ok(session_stream),
        Ok(Some(Stage::Waiting | Stage::Refused)) => Err(HelloError::Refused),
        Ok(None) => Err(HelloError::Ended(driver_error(driver).await)),
        Err(_elapsed) => {
            driver.abort();
            Err(HelloError::Deadline)
        }
    }
}

/// The bytes of a hello, for a guest that does not run yet; [`open`] with the same nonce says it again.
pub fn hello(nonce: u64) -> Bytes {
    let mut bytes = BytesMut::new();
    encode(&hello_frame(nonce), &mut bytes);
    bytes.freeze()
}

fn hello_frame(nonce: u64) -> Frame {
    Frame { kind: Kind::Hello, nonce, payload: Bytes::from_static(&[FRAMING_VERSION]) }
}

async fn driver_error(driver: tokio::task::JoinHandle<io::Result<()>>) -> io::Error {
    match driver.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => io::ErrorKind::UnexpectedEof.into(),
    }
}

async fn drive<S>(
    stream: S,
    link: Arc<Link>,
    session: Arc<Session>,
    stage: watch::Sender<Stage>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = split(stream);
    let (reader, writer) = (std::pin::pin!(reader), std::pin::pin!(writer));
    let reading = read_frames(reader, |frame| {
        on_frame(frame, &link, &session, &stage);
    });
    let writing = write_frames(&link, writer, |frame| frame.kind == Kind::Close);
    // A guest that reads nothing must not keep a stream open that nobody wants: the port has room for one.
    let abandoned = async {
        session.abandoned().await;
        sleep(CLOSE_PATIENCE).await;
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = reading => outcome,
        outcome = writing => outcome,
        outcome = abandoned => outcome,
    };
    session.end(End::LinkLost);
    outcome
}

fn on_frame(frame: Frame, link: &Link, session: &Session, stage: &watch::Sender<Stage>) {
    if frame.nonce != session.nonce {
        return;
    }
    match frame.kind {
        Kind::HelloAck => advance(stage, Stage::Open),
        Kind::Data => session.deliver(frame.payload),
        Kind::Close => {
            session.end(End::Closed);
            advance(stage, Stage::Refused);
        }
        Kind::Probe => link.send_control(Frame::bare(Kind::ProbeAnswer, frame.nonce)),
        Kind::Hello | Kind::ProbeAnswer => {}
    }
}

/// Leaves `Waiting` once.
fn advance(stage: &watch::Sender<Stage>, next: Stage) {
    stage.send_if_modified(|stage| {
        let is_first = *stage == Stage::Waiting;
        if is_first {
            *stage = next;
        }
        is_first
    });
}
