//! Where an agent is reached, and how a byte stream to it is made.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::error::ClientError;
use crate::framing;

/// A byte stream to an agent, whatever is beneath it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The longest answer of Firecracker to `CONNECT`.
const VSOCK_ANSWER_BYTES: usize = 32;

/// Where an agent is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// QEMU's socket of a virtio-serial port: a framed stream, see [`framing`].
    VirtioSerial {
        /// The chardev's socket.
        socket: PathBuf,
    },
    /// Firecracker's vsock socket: `CONNECT <port>` answered by `OK <port>`, then a plain stream.
    Vsock {
        /// The `uds_path` of the vsock device.
        socket: PathBuf,
        /// The port that the agent listens on.
        port: u32,
    },
    /// A plain stream: an agent that runs as an ordinary process.
    Unix {
        /// Its listener.
        socket: PathBuf,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::VirtioSerial { socket } | Target::Unix { socket } => {
                write!(formatter, "{}", socket.display())
            }
            Target::Vsock { socket, port } => write!(formatter, "{} port {port}", socket.display()),
        }
    }
}

/// A connected socket, and the nonce of the session to be, where the transport has sessions.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    nonce: u64,
}

impl Target {
    /// Connects to the socket and no further.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Link, ClientError> {
        let nonce = self.within(deadline, async { fresh_nonce() }).await?;
        let stream = match self {
            Target::VirtioSerial { socket } | Target::Unix { socket } => {
                self.within(deadline, UnixStream::connect(socket)).await?
            }
            Target::Vsock { socket, .. } => self.within(deadline, connect_itself(socket)).await?,
        };
        Ok(Link { stream, nonce })
    }

    /// Connects to the socket of a guest that does not run yet, and says hello: the guest finds it as it begins to run. It
    /// is said again when the stream is opened, which changes nothing.
    pub(super) async fn connect_ahead(&self, deadline: Instant) -> Result<Link, ClientError> {
        let mut link = self.connect(deadline).await?;
        if let Target::VirtioSerial { .. } = self {
            let hello = framing::hello(link.nonce);
            self.within(deadline, link.stream.write_all(&hello)).await?;
        }
        Ok(link)
    }

    /// Goes through the handshake that the transport has, if it has one, until `deadline`.
    pub(super) async fn open_stream(
        &self,
        link: Link,
        deadline: Instant,
    ) -> Result<Box<dyn Stream>, ClientError> {
        let Link { stream, nonce } = link;
        match self {
            Target::Unix { .. } => Ok(Box::new(stream)),
            Target::Vsock { port, .. } => {
                Ok(Box::new(self.within(deadline, ask_for_port(stream, *port)).await?))
            }
            Target::VirtioSerial { .. } => {
                let session = framing::open(stream, nonce, deadline)
                    .await
                    .map_err(|source| ClientError::Hello { target: self.to_string(), source })?;
                Ok(Box::new(session))
            }
        }
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        connecting: impl Future<Output = io::Result<T>>,
    ) -> Result<T, ClientError> {
        timeout_at(deadline, connecting)
            .await
            .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| ClientError::Connect { target: self.to_string(), source })
    }
}

/// Firecracker owns the directory of its socket: a link in its place would lead to sockets of the host.
async fn connect_itself(socket: &Path) -> io::Result<UnixStream> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::open(socket, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("it is no socket"));
    }
    UnixStream::connect(format!("/proc/self/fd/{}", found.as_raw_fd())).await
}

/// Never used before on any channel.
fn fresh_nonce() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::io::retry_on_intr(|| {
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
    })?;
    Ok(u64::from_le_bytes(bytes))
}

async fn ask_for_port(mut stream: UnixStream, port: u32) -> io::Result<UnixStream> {
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    // Byte by byte: what follows the line belongs to the stream.
    let mut answer = Vec::with_capacity(VSOCK_ANSWER_BYTES);
    while answer.last() != Some(&b'\n') {
        if answer.len() == VSOCK_ANSWER_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an overlong answer to CONNECT",
            ));
        }
        answer.push(stream.read_u8().await?);
    }
    if answer.starts_with(b"OK ") {
        Ok(stream)
    } else {
        Err(io::Error::new(io::ErrorKind::ConnectionRefused, "CONNECT was not answered with OK"))
    }
}
