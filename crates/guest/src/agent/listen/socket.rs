//! Sockets: vsock for Firecracker, Unix sockets for tests and for an agent beside its host.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SocketFlags, accept_with};
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::connection::Connection;
use crate::framing::{self, Presence, SessionStream};
use crate::sys::{poll, vsock};

/// After an accept that failed, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Plain streams over a Unix socket, as long as the agent lives.
pub(crate) async fn listen_unix(
    path: &Path,
    connections: mpsc::Sender<Connection>,
    presence: Presence,
) -> io::Result<()> {
    let listener = bind(path)?;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                presence.note_session();
                if connections.send(Connection::Plain(stream)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// Framed streams over a Unix socket, one at a time as with a port.
pub(crate) async fn listen_unix_framed(
    path: &Path,
    connections: mpsc::Sender<Connection>,
    presence: Presence,
) -> io::Result<()> {
    let listener = bind(path)?;
    let (sender, mut sessions) = mpsc::channel::<SessionStream>(super::PENDING_CONNECTIONS);
    let forwarding = async {
        while let Some(session) = sessions.recv().await {
            if connections.send(Connection::Framed(session)).await.is_err() {
                return;
            }
        }
    };
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    if let Err(error) = framing::serve(stream, &sender, &presence).await {
                        tracing::debug!(%error, "a framed connection failed");
                    }
                }
                Err(error) => pause(&error).await,
            }
        }
    };
    tokio::select! {
        () = forwarding => Ok(()),
        () = accepting => Ok(()),
    }
}

/// Plain streams over vsock, as long as the agent lives.
pub(crate) async fn listen_vsock(
    port: u32,
    connections: mpsc::Sender<Connection>,
    presence: Presence,
) -> io::Result<()> {
    let listener = poll::register(vsock::listener(port)?)?;
    loop {
        match accept(&listener).await {
            Ok(stream) => {
                presence.note_session();
                if connections.send(Connection::Plain(stream)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// The peer's address is of a family that neither tokio nor std knows; the connected socket is a stream like any
/// other, and reads, writes and polls as a Unix stream does.
async fn accept(listener: &AsyncFd<OwnedFd>) -> io::Result<UnixStream> {
    loop {
        let mut guard = listener.readable().await?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match guard.try_io(|inner| Ok(accept_with(inner.get_ref(), flags)?)) {
            Ok(accepted) => return UnixStream::from_std(StdUnixStream::from(accepted?)),
            Err(_would_block) => {}
        }
    }
}

/// Replaces the socket of an agent that is gone.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    sleep(ACCEPT_PAUSE).await;
}
