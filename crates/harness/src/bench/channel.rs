//! The agent's own file streams beside what the channel carries bare: bytes through the virtio-serial port to a shell in the guest
//! and back, without agent, framing, RPC or file.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::bare::{Bare, BareHost};
use super::figure::Figure;
use super::files::{Direction, FILE_BYTES, RUNS, get_bare, mib_per_second, pieces, put_bare};
use super::sample::Sample;
use super::scene::{MEMORY_MIB, READY, Scene};
use crate::error::HarnessError;
use crate::wait::until;

/// The program that the guest runs instead of its agent. Each line that it reads asks for bytes, in or out.
const PROGRAM: &str = r#"#!/bin/bash
busybox mount -t devtmpfs dev /dev
exec 3<>/dev/vport*p1
while :; do
	if read -r way count <&3; then
		case $way in
		in) dd of=/dev/null bs=64k count=$count iflag=fullblock,count_bytes status=none <&3 ;;
		out) dd if=/dev/zero bs=64k count=$count iflag=count_bytes status=none >&3 ;;
		esac
		echo done >&3
	else
		sleep 0.1
	fi
done
"#;
const DONE: &[u8] = b"done\n";
/// One copy.
const COPY: Duration = Duration::from_secs(120);

/// MiB/s of the agent's own client, and of bytes without it.
pub(super) async fn carried(
    name: &'static str,
    scene: &Scene,
    direction: Direction,
) -> Result<Figure, HarnessError> {
    let (with_agent, without) = (BareHost::numbered(scene, 0)?, BareHost::numbered(scene, 1)?);
    let (guest, _took) = with_agent.boot(MEMORY_MIB).await?;
    let agent = guest.agent();
    put_bare(&agent).await?;
    let shell = without.boot_program(MEMORY_MIB, PROGRAM)?;
    let mut port = Port::open(shell.channel()).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for _ in 0..RUNS {
        let began = Instant::now();
        match direction {
            Direction::In => put_bare(&agent).await?,
            Direction::Out => get_bare(&agent).await?,
        }
        ours.add(mib_per_second(began.elapsed()));
        let began = Instant::now();
        match direction {
            Direction::In => port.put().await?,
            Direction::Out => port.get().await?,
        }
        bare.add(mib_per_second(began.elapsed()));
    }
    agent.disconnect().await;
    end(guest, shell).await?;
    Ok(Figure { name, value: ours.median(), unit: "MiB/s", bare: Some(bare.median()) })
}

async fn end(guest: Bare, shell: Bare) -> Result<(), HarnessError> {
    guest.end().await?;
    shell.end().await
}

/// The host's end of the port.
struct Port {
    stream: UnixStream,
}

impl Port {
    /// Connects, and waits until the guest's program answers.
    async fn open(socket: Utf8PathBuf) -> Result<Self, HarnessError> {
        let connect = async || UnixStream::connect(&socket).await.ok();
        let stream = until("the socket of a bare QEMU's port", READY, connect).await?;
        let mut port = Self { stream };
        tokio::time::timeout(READY, port.ask("in", 0)).await.map_err(|_elapsed| {
            HarnessError::Deadline { what: "a program without an agent".into(), deadline: READY }
        })??;
        port.done().await?;
        Ok(port)
    }

    async fn put(&mut self) -> Result<(), HarnessError> {
        self.ask("in", FILE_BYTES).await?;
        for piece in pieces() {
            self.stream.write_all(&piece).await.map_err(failed)?;
        }
        self.done().await
    }

    async fn get(&mut self) -> Result<(), HarnessError> {
        self.ask("out", FILE_BYTES).await?;
        let (mut buffer, mut left) = (vec![0; 64 << 10], FILE_BYTES);
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= self.read(&mut buffer[..most]).await? as u64;
        }
        self.done().await
    }

    async fn ask(&mut self, way: &str, count: u64) -> Result<(), HarnessError> {
        self.stream.write_all(format!("{way} {count}\n").as_bytes()).await.map_err(failed)
    }

    async fn done(&mut self) -> Result<(), HarnessError> {
        let mut word = [0; DONE.len()];
        let mut length = 0;
        while length < word.len() {
            length += self.read(&mut word[length..]).await?;
        }
        if word == DONE {
            return Ok(());
        }
        Err(HarnessError::value("a program without an agent", String::from_utf8_lossy(&word)))
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, HarnessError> {
        let read = tokio::time::timeout(COPY, self.stream.read(buffer)).await;
        let read = read.map_err(|_elapsed| HarnessError::Deadline {
            what: "bytes of a port".into(),
            deadline: COPY,
        })?;
        match read.map_err(failed)? {
            0 => Err(HarnessError::value("a bare QEMU's port", "it was closed")),
            count => Ok(count),
        }
    }
}

fn failed(error: std::io::Error) -> HarnessError {
    HarnessError::io("use a bare QEMU's port")(error)
}
