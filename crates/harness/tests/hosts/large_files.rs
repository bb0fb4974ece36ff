//! A file far larger than what the daemon may hold: into a guest and out again, byte for byte.

use std::sync::Arc;

use bytes::Bytes;
use contract::client::{ByteRange, Client, Content};
use contract::file::{FileOperationName, FileOperationRequest};
use contract::file_stream::{FileQuery, WriteFileQuery};
use contract::id::MachineId;
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::small;
use sha2::{Digest, Sha256};

use super::support::in_place;

const FILE_BYTES: u64 = 1 << 30;
const PIECE_BYTES: usize = 64 << 10;
const PIECES: u64 = FILE_BYTES / PIECE_BYTES as u64;
/// What the daemon may need more than before, whatever goes through it.
const ALLOWED_KIB: u64 = 48 << 10;
const PATH: &str = "large";

#[test]
fn promise_p10_a_file_of_1_gib_goes_in_and_out_whole_through_a_daemon_that_stays_small() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let mut request = small("box", &place.image)?;
        request.storage_bytes = Some(3 << 30);
        let machine = host.launch(request).await?;
        let client = host.client();
        let before = peak_kib(&host)?;

        let noise = Arc::new(Noise::make());
        let sent = write(&client, &machine.id, &noise).await?;
        let read = read(&client, &machine.id).await?;
        assert_eq!(read, sent, "what came back is what went in");
        ranges_are_where_they_should_be(&client, &machine.id, &noise).await?;

        let grown = peak_kib(&host)?.saturating_sub(before);
        assert!(grown <= ALLOWED_KIB, "the daemon grew by {grown} KiB");
        host.finish().await
    });
}

/// What the file is made of.
struct Noise(Vec<u8>);

impl Noise {
    fn make() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        });
        Self(words.take(2 * PIECE_BYTES / 8).flat_map(u64::to_le_bytes).collect())
    }

    /// A piece of the file: none is like another, and every byte value is in each.
    fn piece(&self, number: u64) -> Bytes {
        let shift = (number * 4099) as usize % PIECE_BYTES;
        let mut piece = self.0[shift..shift + PIECE_BYTES].to_vec();
        piece[..8].copy_from_slice(&number.to_be_bytes());
        piece.into()
    }
}

/// Writes it, and answers its digest.
async fn write(
    client: &Client,
    machine: &MachineId,
    noise: &Arc<Noise>,
) -> Result<Vec<u8>, HarnessError> {
    let query = WriteFileQuery { path: PATH.into(), mode: Some(0o600) };
    let sent = Arc::clone(noise);
    let stream = futures_util::stream::iter((0..PIECES).map(move |number| Ok(sent.piece(number))));
    let content = Content { length_bytes: Some(FILE_BYTES), stream };
    let written = client.write_file(machine, &query, content).await?;
    assert_eq!((written.stat.size_bytes, written.stat.mode), (Some(FILE_BYTES), Some(0o600)));
    let mut sum = Sha256::new();
    (0..PIECES).for_each(|number| sum.update(noise.piece(number)));
    Ok(sum.finalize().to_vec())
}

/// The digest of what is read.
async fn read(client: &Client, machine: &MachineId) -> Result<Vec<u8>, HarnessError> {
    let query = FileQuery { path: PATH.into() };
    let mut content = client.read_file(machine, &query, ByteRange::default()).await?;
    let (mut sum, mut length) = (Sha256::new(), 0);
    while let Some(data) = content.next().await? {
        length += data.len() as u64;
        sum.update(&data);
    }
    assert_eq!(length, FILE_BYTES);
    Ok(sum.finalize().to_vec())
}

async fn ranges_are_where_they_should_be(
    client: &Client,
    machine: &MachineId,
    noise: &Noise,
) -> Result<(), HarnessError> {
    for number in [0, PIECES / 2, PIECES - 1] {
        let (first, wanted) = (number * PIECE_BYTES as u64, noise.piece(number));
        let range = ByteRange { first, last: Some(first + 9) };
        let query = FileQuery { path: PATH.into() };
        let mut content = client.read_file(machine, &query, range).await?;
        let mut read = Vec::new();
        while let Some(data) = content.next().await? {
            read.extend_from_slice(&data);
        }
        assert_eq!(read, wanted[..10], "from byte {first}");
    }
    let past = FileOperationRequest::new(FileOperationName::ReadRange, PATH);
    let past = FileOperationRequest { offset: Some(FILE_BYTES), length: Some(1), ..past };
    let past = client.operate_on_files(machine, &past).await?;
    assert_eq!(past.content.unwrap_or_default(), "");
    Ok(())
}

/// The most memory that the daemon ever had resident.
fn peak_kib(host: &Daemon) -> Result<u64, HarnessError> {
    let pid = host.pid().ok_or_else(|| HarnessError::value("the daemon", "it has ended"))?;
    let path = format!("/proc/{pid}/status");
    let status =
        std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
        .ok_or_else(|| HarnessError::value(&path, "it has no VmHWM"))
}
