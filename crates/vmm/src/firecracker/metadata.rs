//! What a guest made before there was an agent is told: by the metadata service, and over vsock.

use std::io;
use std::time::Duration;

use engine::port::Launch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::adapter::Firecracker;
use super::api::{Api, Request};
use super::boot::{API_SOCKET, VSOCK_SOCKET};
use super::error::FirecrackerError;

/// The port on which such a guest listens, as contract.md fixes it.
const PORT: u32 = 1024;
/// The longest answer that is read.
const ANSWER_LIMIT_BYTES: u64 = 64;

impl Firecracker {
    /// Makes the metadata service tell the guest `metadata`, and tells it the same in one line over vsock, which it answers `OK`.
    ///
    /// # Errors
    /// When Firecracker refuses, or the guest does not answer within `deadline`.
    pub async fn tell(
        &self,
        launch: &Launch,
        metadata: &Value,
        deadline: Duration,
    ) -> Result<(), FirecrackerError> {
        let root = self.run(launch).jail_root()?;
        let whole = json!({ "latest": { "meta-data": metadata } });
        Api::new(&root, API_SOCKET)
            .send(&Request::PutMetadata(whole), deadline.min(self.config.deadlines.request))
            .await?;
        let socket = root.socket(VSOCK_SOCKET).map_err(failed)?;
        let telling = async {
            let stream = UnixStream::connect(socket.path()).await?;
            say(stream, &metadata.to_string()).await
        };
        match tokio::time::timeout(deadline, telling).await {
            Ok(told) => told.map_err(failed),
            Err(_elapsed) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }
}

async fn say(mut stream: UnixStream, line: &str) -> io::Result<()> {
    stream.write_all(format!("CONNECT {PORT}\n").as_bytes()).await?;
    let connected = read_line(&mut stream).await?;
    if !connected.starts_with("OK ") {
        return Err(io::Error::other(format!("CONNECT was answered with {connected:?}")));
    }
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let answer = read_line(&mut stream).await?;
    if answer == "OK" { Ok(()) } else { Err(io::Error::other(format!("it answered {answer:?}"))) }
}

/// Byte by byte: what follows the line belongs to the guest's stream.
async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    while (line.len() as u64) < ANSWER_LIMIT_BYTES {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            byte => line.push(byte),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"))
}

fn failed(source: io::Error) -> FirecrackerError {
    FirecrackerError::File { action: "talk to the guest over", path: VSOCK_SOCKET.into(), source }
}
