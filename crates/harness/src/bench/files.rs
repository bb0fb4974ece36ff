//! A file into a guest and out of it, beside what the channel carries bare: the agent's own client on a bare QEMU.

use std::time::{Duration, Instant};

use bytes::Bytes;
use contract::client::{ByteRange, Client, Content};
use contract::file_stream::{FileQuery, WriteFileQuery};
use contract::id::MachineId;
use guest::client::Client as Agent;
use guest::proto::files::{Form, ReadOpen, WriteOpen};

use super::bare::BareHost;
use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::error::HarnessError;

pub(super) const RUNS: usize = 5;
pub(super) const FILE_BYTES: u64 = 32 << 20;
const PIECE_BYTES: usize = 64 << 10;
/// One call of the bare client.
const CALL: Duration = Duration::from_secs(120);

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `PUT /machines/{id}/files/content`.
    In,
    /// `GET` of the same.
    Out,
}

/// MiB/s through the daemon's HTTP, and through the channel alone.
pub(super) async fn copy(
    name: &'static str,
    scene: &Scene,
    direction: Direction,
) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", MEMORY_MIB).await?;
    let client = daemon.client();
    let (guest, _took) = bare_host.boot(MEMORY_MIB).await?;
    let agent = guest.agent();
    // There is a file on either side, and pages to write it to.
    put(&client, &machine.id).await?;
    put_bare(&agent).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for _ in 0..RUNS {
        let began = Instant::now();
        match direction {
            Direction::In => put(&client, &machine.id).await?,
            Direction::Out => get(&client, &machine.id).await?,
        }
        ours.add(mib_per_second(began.elapsed()));
        let began = Instant::now();
        match direction {
            Direction::In => put_bare(&agent).await?,
            Direction::Out => get_bare(&agent).await?,
        }
        bare.add(mib_per_second(began.elapsed()));
    }
    agent.disconnect().await;
    guest.end().await?;
    daemon.client().delete_machine(&machine.id).await?;
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "MiB/s", bare: Some(bare.median()) })
}

pub(super) fn mib_per_second(time: Duration) -> f64 {
    (FILE_BYTES >> 20) as f64 / time.as_secs_f64()
}

pub(super) fn pieces() -> impl Iterator<Item = Bytes> + Send {
    let piece = Bytes::from(vec![7; PIECE_BYTES]);
    std::iter::repeat_n(piece, FILE_BYTES as usize / PIECE_BYTES)
}

async fn put(client: &Client, machine: &MachineId) -> Result<(), HarnessError> {
    let query = WriteFileQuery { path: "file".into(), mode: None };
    let stream = futures_util::stream::iter(pieces().map(Ok));
    let content = Content { length_bytes: Some(FILE_BYTES), stream };
    Ok(client.write_file(machine, &query, content).await.map(drop)?)
}

async fn get(client: &Client, machine: &MachineId) -> Result<(), HarnessError> {
    let query = FileQuery { path: "file".into() };
    let mut read = client.read_file(machine, &query, ByteRange::default()).await?;
    let mut length = 0;
    while let Some(data) = read.next().await? {
        length += data.len() as u64;
    }
    whole(length)
}

pub(super) async fn put_bare(agent: &Agent) -> Result<(), HarnessError> {
    let open = WriteOpen { path: "file".into(), form: Form::File.into(), ..WriteOpen::default() };
    let mut writer = agent.write_file(open, CALL).await.map_err(failed)?;
    for piece in pieces() {
        writer.write(piece, CALL).await.map_err(failed)?;
    }
    writer.finish(CALL).await.map(drop).map_err(failed)
}

pub(super) async fn get_bare(agent: &Agent) -> Result<(), HarnessError> {
    let open = ReadOpen { path: "file".into(), form: Form::File.into(), ..ReadOpen::default() };
    let mut reader = agent.read_file(open, CALL).await.map_err(failed)?;
    let mut length = 0;
    while let Some(data) = reader.next_chunk(CALL).await.map_err(failed)? {
        length += data.len() as u64;
    }
    whole(length)
}

fn whole(length: u64) -> Result<(), HarnessError> {
    if length == FILE_BYTES {
        return Ok(());
    }
    Err(HarnessError::value("a file's length", length))
}

fn failed(error: guest::client::ClientError) -> HarnessError {
    HarnessError::value("the agent of a bare QEMU", error)
}
