//! A TCP relay: from a port of the host to a port of a guest.
//!
//! ```text
//!  client -> listener (loopback by default) -> one task per connection, at most `connection_limit` -> runtime address
//! ```
//! Each direction ends on its own: a client that has said all it has to say still gets its answer.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// What one direction of one connection holds in memory.
const BUFFER_BYTES: usize = 16 << 10;

/// How long to wait before accepting again when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySettings {
    /// Where clients come in.
    pub listen: SocketAddr,
    /// Where they are led.
    pub target: SocketAddr,
    /// How long the target may take to accept.
    pub connect_timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle_timeout: Duration,
    /// How many connections there may be at once; one more is closed at once.
    pub connection_limit: usize,
}

/// Why a relay could not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Something else listens there.
    #[error("port {} of {} is in use", address.port(), address.ip())]
    Busy {
        /// Where.
        address: SocketAddr,
    },
    /// The listener could not be made.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// A running relay. It ends when [`Relay::stop`] is called or it is dropped, and its connections with it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens, and serves from then on. Each connection holds one of `places`, which other relays take from too.
    pub async fn start(
        settings: RelaySettings,
        places: Arc<Semaphore>,
    ) -> Result<Self, RelayError> {
        let address = settings.listen;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => RelayError::Busy { address },
            _ => RelayError::Listen { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ending = CancellationToken::new();
        let task = tokio::spawn(serve(listener, settings, places, ending.clone()));
        Ok(Self { address, ending, task })
    }

    /// Where it listens: the port that was given when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it. When this returns, the port is free and every connection closed.
    pub async fn stop(mut self) {
        self.ending.cancel();
        if let Err(error) = (&mut self.task).await {
            warn!(address = %self.address, %error, "relay ended badly");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

/// Accepts until told to end. Connections are dropped with the set that owns them.
async fn serve(
    listener: TcpListener,
    settings: RelaySettings,
    places: Arc<Semaphore>,
    ending: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ending.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(_) if connections.len() >= settings.connection_limit => {
                debug!(listen = %settings.listen, "relay is full");
            }
            Ok((client, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    warn!(listen = %settings.listen, "all relays together are full");
                    continue;
                };
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = connect(client, settings).await {
                        debug!(listen = %settings.listen, %peer, %error, "relayed connection ended");
                    }
                });
            }
            Err(error) => {
                warn!(listen = %settings.listen, %error, "relay cannot accept");
                tokio::select! {
                    () = ending.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Connects to the target and carries bytes both ways until both have ended, one breaks, or both are silent.
async fn connect(mut client: TcpStream, settings: RelaySettings) -> io::Result<()> {
    let connecting = TcpStream::connect(settings.target);
    let mut target = tokio::time::timeout(settings.connect_timeout, connecting).await??;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let activity = Activity::now();
    let (client_reads, client_writes) = client.split();
    let (target_reads, target_writes) = target.split();
    let both = async {
        tokio::try_join!(
            pump(client_reads, target_writes, &activity),
            pump(target_reads, client_writes, &activity),
        )
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        () = activity.silent_for(settings.idle_timeout) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Carries bytes one way; passes the end on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Activity,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        activity.note();
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        activity.note();
    }
}

/// When bytes last moved, in either direction.
#[derive(Debug)]
struct Activity {
    begun: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    fn now() -> Self {
        Self { begun: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn note(&self) {
        let elapsed = self.begun.elapsed().as_millis();
        let elapsed =
            u64::try_from(elapsed).expect("a connection lives less than 584 million years");
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Returns once nothing has moved for as long as `limit`.
    async fn silent_for(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let end = self.begun + last + limit;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}
