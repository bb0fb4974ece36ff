//! The agent's end: takes hellos as they come, and hands out a stream for each session.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::{Notify, mpsc, watch};

use super::frame::{Frame, Kind};
use super::host_end::FRAMING_VERSION;
use super::link::{Link, read_frames, write_frames};
use super::session::{End, Session, SessionStream};

/// What the agent knows of the host at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// Sessions that ever began.
    pub sessions: u64,
    /// The host of the current session can be probed: its link has not ended.
    pub is_connected: bool,
    /// Answers of the current session's host to [`Presence::probe`].
    pub probes_answered: u64,
}

/// The state of the link for the rest of the agent, over all links that ever were.
#[derive(Clone, Debug)]
pub struct Presence {
    status: watch::Sender<LinkStatus>,
    probe_wanted: Arc<Notify>,
}

impl Default for Presence {
    fn default() -> Self {
        Presence { status: watch::Sender::new(LinkStatus::default()), probe_wanted: Arc::default() }
    }
}

impl Presence {
    /// The state now and from now on.
    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.status.subscribe()
    }

    /// Asks the host of the current session for a sign of life; it shows in [`LinkStatus::probes_answered`].
    pub fn probe(&self) {
        self.probe_wanted.notify_one();
    }

    /// A session of a transport without frames began; whether its host lives on cannot be asked.
    pub fn note_session(&self) {
        self.status.send_modify(|status| status.sessions += 1);
    }

    fn note_connection(&self) {
        self.status.send_modify(|status| {
            status.sessions += 1;
            status.is_connected = true;
        });
    }

    fn note_loss(&self) {
        self.status.send_modify(|status| status.is_connected = false);
    }
}

/// Drives one link until its stream ends. Each session's stream goes to `sessions`; the one before it has failed by then.
///
/// # Errors
/// What the stream failed with.
pub async fn serve<S>(
    stream: S,
    sessions: &mpsc::Sender<SessionStream>,
    presence: &Presence,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let link = Link::default();
    let (reader, writer) = split(stream);
    let (reader, writer) = (std::pin::pin!(reader), std::pin::pin!(writer));
    let reading = read_frames(reader, |frame| {
        on_frame(frame, &link, sessions, presence);
    });
    let writing = write_frames(&link, writer, |_frame| false);
    let probing = async {
        loop {
            presence.probe_wanted.notified().await;
            if let Some(session) = link.current() {
                link.send_control(Frame::bare(Kind::Probe, session.nonce));
            }
        }
    };
    let outcome = tokio::select! {
        outcome = reading => outcome,
        outcome = writing => outcome,
        () = probing => Ok(()),
    };
    if let Some(session) = link.current() {
        session.end(End::LinkLost);
    }
    presence.note_loss();
    outcome
}

fn on_frame(
    frame: Frame,
    link: &Link,
    sessions: &mpsc::Sender<SessionStream>,
    presence: &Presence,
) {
    let current = link.current().filter(|session| session.nonce == frame.nonce);
    match (frame.kind, current) {
        (Kind::Hello, Some(session)) if !session.has_ended() => {
            link.send_control(Frame::bare(Kind::HelloAck, frame.nonce));
        }
        (Kind::Hello, _) => on_hello(&frame, link, sessions, presence),
        (Kind::Data, Some(session)) if !session.has_ended() => session.deliver(frame.payload),
        (Kind::Data, _) => link.send_control(Frame::bare(Kind::Close, frame.nonce)),
        (Kind::Close, Some(session)) => session.end(End::Closed),
        (Kind::ProbeAnswer, Some(_)) => {
            presence.status.send_modify(|status| status.probes_answered += 1);
        }
        (Kind::Close | Kind::ProbeAnswer | Kind::HelloAck | Kind::Probe, _) => {}
    }
}

fn on_hello(
    frame: &Frame,
    link: &Link,
    sessions: &mpsc::Sender<SessionStream>,
    presence: &Presence,
) {
    if frame.payload.first() != Some(&FRAMING_VERSION) {
        tracing::warn!(version = ?frame.payload.first(), "refused a hello of another framing version");
        link.send_control(Frame::bare(Kind::Close, frame.nonce));
        return;
    }
    let (session, stream) = Session::open(frame.nonce, link.outgoing_ready.clone());
    if let Some(before) = link.replace(session) {
        before.end(End::Superseded);
    }
    match sessions.try_send(stream) {
        Ok(()) => {
            link.send_control(Frame::bare(Kind::HelloAck, frame.nonce));
            presence.note_connection();
        }
        // The stream that comes back closes its session as it is dropped: the host is told.
        Err(error) => tracing::warn!(%error, "no room for another channel session"),
    }
}
