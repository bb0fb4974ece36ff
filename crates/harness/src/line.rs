//! A line between a host and its object store: as long and as narrow as a test wants, and cut, silent or lying when it says so.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::error::HarnessError;

/// Bytes taken from one side at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// A longer read than this has bytes of a body in its middle.
const HEADERS_BYTES: usize = 8 * 1024;

/// What the line does to what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Carries it.
    Honest,
    /// Answers every request itself, with this status.
    Answers(u16),
    /// Carries no request until it behaves otherwise.
    Silent,
    /// Changes a bit of every body.
    Flips,
}

/// How long and how wide a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Between a request and the first byte of its answer, at least.
    pub latency: Duration,
    /// Bytes of answers that it carries in a second, all connections together.
    pub bytes_per_second: u64,
}

/// A line. It carries until it is dropped.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    to: watch::Sender<Option<SocketAddr>>,
    conduct: watch::Sender<Conduct>,
    shape: Shape,
    /// When the line is free again.
    free: Mutex<Instant>,
    carried_bytes: AtomicU64,
}

impl Line {
    /// A line on loopback that leads nowhere yet.
    pub async fn start(shape: Shape) -> Result<Self, HarnessError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(HarnessError::io("listen on loopback"))?;
        let address = listener.local_addr().map_err(HarnessError::io("name the line's address"))?;
        let shared = Arc::new(Shared {
            to: watch::Sender::new(None),
            conduct: watch::Sender::new(Conduct::Honest),
            shape,
            free: Mutex::new(Instant::now()),
            carried_bytes: AtomicU64::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads it somewhere.
    pub fn lead_to(&self, address: SocketAddr) {
        self.shared.to.send_replace(Some(address));
    }

    /// Does so from now on.
    pub fn behave(&self, conduct: Conduct) {
        self.shared.conduct.send_replace(conduct);
    }

    /// Bytes of answers that it has carried.
    pub fn carried_bytes(&self) -> u64 {
        self.shared.carried_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection. An error ends it, as a cut line would.
async fn carry(mut client: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let to = *shared.to.borrow();
    let to = to.ok_or(std::io::ErrorKind::HostUnreachable)?;
    let mut store = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    store.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                if let Some(answer) = shared.ask().await {
                    return client.write_all(answer.as_bytes()).await;
                }
                store.write_all(&asked[..read]).await?;
            }
            read = store.read(&mut answered) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                shared.pace(read as u64).await;
                if *shared.conduct.borrow() == Conduct::Flips && read > HEADERS_BYTES {
                    answered[read / 2] ^= 4;
                }
                client.write_all(&answered[..read]).await?;
            }
        }
    }
}

impl Shared {
    /// Waits as long as a request takes on its way; what answers it instead of the store, if something does.
    async fn ask(&self) -> Option<String> {
        tokio::time::sleep(self.shape.latency).await;
        let mut conduct = self.conduct.subscribe();
        let wanted = conduct.wait_for(|conduct| *conduct != Conduct::Silent).await;
        match wanted.as_deref().copied() {
            Ok(Conduct::Answers(status)) => Some(format!(
                "HTTP/1.1 {status} Because\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )),
            Ok(_) | Err(_) => None,
        }
    }

    async fn pace(&self, bytes: u64) {
        self.carried_bytes.fetch_add(bytes, Ordering::Relaxed);
        let time = Duration::from_secs_f64(bytes as f64 / self.shape.bytes_per_second as f64);
        let until = {
            let mut free = self.free.lock().await;
            *free = (*free).max(Instant::now()) + time;
            *free
        };
        tokio::time::sleep_until(until).await;
    }
}
