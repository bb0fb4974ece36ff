//! Listeners: accept, serve, and end well.
//!
//! ```text
//!  listener --at most `connections` at once--> one task per connection: HTTP/1.1, headers within a deadline
//!      |                                            |
//!   ending: no more are accepted          answers under way are finished, then the connection is closed
//! ```

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use camino::Utf8Path;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::fs::Gid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a client may take to send the head of a request, and how long a connection may be idle between two.
const HEAD_DEADLINE: Duration = Duration::from_secs(60);
/// How long to wait before accepting again when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// The Unix socket.
    Unix(UnixListener),
    /// TCP.
    Tcp(TcpListener),
}

impl Listener {
    /// Listens on a Unix socket with mode 0660; one that a dead daemon left is replaced. The root is locked by then, so
    /// nobody lives behind it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn unix(path: &Utf8Path, group: Option<Gid>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Until its mode is set it is closed by the root directory, which only root and the group can enter.
        let listener = UnixListener::bind(path)?;
        rustix::fs::chown(path.as_std_path(), None, group)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Self::Unix(listener))
    }
}

/// Serves until `ending`, then until every connection has had its answer.
pub async fn serve(
    listener: Listener,
    router: Router,
    connections: usize,
    ending: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(connections));
    let tasks = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit.ok(), accept(&listener).await)
        };
        let (permit, accepted) = tokio::select! {
            () = ending.cancelled() => break,
            next = next => next,
        };
        match accepted {
            Ok(Accepted::Unix(stream)) => {
                tasks.spawn(converse(stream, router.clone(), permit, ending.clone()));
            }
            Ok(Accepted::Tcp(stream)) => {
                tasks.spawn(converse(stream, router.clone(), permit, ending.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        Listener::Tcp(listener) => {
            let stream = listener.accept().await?.0;
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream))
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    permit: Option<OwnedSemaphorePermit>,
    ending: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
    drop(permit);
}
