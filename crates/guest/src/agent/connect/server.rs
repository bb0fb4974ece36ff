//! The listener and its connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::route::answer;
use crate::agent::machine::Machine;
use crate::limits;

/// Connections at once; one more waits until another ends.
const CONNECTIONS: usize = 64;
/// How long a client may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// Before the next try after a failure to listen or accept.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Serves once the host has said whom, and then for as long as the agent lives.
pub(crate) async fn serve(machine: Arc<Machine>, place: Place) {
    machine.exec_access.opened().await;
    loop {
        let outcome = match &place {
            Place::Tcp(address) => serve_tcp(&machine, *address).await,
            Place::Unix(path) => serve_unix(&machine, path).await,
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, ?place, "the exec server cannot listen");
        }
        sleep(PAUSE).await;
    }
}

async fn serve_tcp(machine: &Arc<Machine>, address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let mut connections = JoinSet::new();
    loop {
        make_room(&mut connections).await;
        let (stream, peer) = listener.accept().await?;
        let own = stream.local_addr()?.ip();
        if is_from_inside(peer.ip(), own) {
            tracing::debug!(%peer, "a process of this guest may not run commands as others");
            continue;
        }
        stream.set_nodelay(true)?;
        connections.spawn(serve_connection(machine.clone(), stream));
    }
}

/// Processes of the guest have no business here: they would become other users.
fn is_from_inside(peer: IpAddr, own: IpAddr) -> bool {
    peer.to_canonical().is_loopback() || peer.to_canonical() == own.to_canonical()
}

async fn serve_unix(machine: &Arc<Machine>, path: &PathBuf) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    let mut connections = JoinSet::new();
    loop {
        make_room(&mut connections).await;
        let (stream, _peer) = listener.accept().await?;
        connections.spawn(serve_connection(machine.clone(), stream));
    }
}

async fn make_room(connections: &mut JoinSet<()>) {
    while connections.try_join_next().is_some() {}
    if connections.len() >= CONNECTIONS {
        connections.join_next().await;
    }
}

async fn serve_connection(
    machine: Arc<Machine>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request| {
        let machine = machine.clone();
        async move { Ok::<_, Infallible>(answer(machine, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(limits::MESSAGE_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::CONCURRENT_STREAMS)
        .max_header_list_size(limits::HEADER_LIST_BYTES)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, "a connection of the exec server ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_the_guest_are_kept_out_promise_p11() {
        let own: IpAddr = "172.16.0.2".parse().unwrap();
        for inside in
            ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::ffff:172.16.0.2", "172.16.0.2"]
        {
            assert!(is_from_inside(inside.parse().unwrap(), own), "{inside}");
        }
        assert!(!is_from_inside("172.16.0.1".parse().unwrap(), own));
    }
}
