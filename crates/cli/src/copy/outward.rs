//! Out of a machine.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use contract::client::{ByteRange, ByteStream, Client};
use contract::file::FileType;
use contract::file_stream::FileQuery;
use tokio::io::AsyncWriteExt as _;

use super::Copied;
use super::inward::file_type;
use super::pipe::to_thread;
use super::place::InMachine;
use crate::error::CliError;
use crate::progress::Meter;

/// Copies a file or a directory.
pub(super) async fn copy(client: &Client, from: &InMachine, to: &Path) -> Result<Copied, CliError> {
    let found = file_type(client, from).await?;
    let into =
        |name: &str| if to.is_dir() && !name.is_empty() { to.join(name) } else { to.to_owned() };
    let target = into(from.name());
    let query = FileQuery { path: from.path.clone() };
    if found == Some(FileType::Directory) {
        let stream = client.read_archive(&from.machine, &query).await?;
        return unpack(stream, target).await;
    }
    // What is not there is refused here, with the daemon's own words.
    let stream = client.read_file(&from.machine, &query, ByteRange::default()).await?;
    save(stream, target).await
}

/// Writes an archive to standard output.
pub(super) async fn pipe(client: &Client, from: &InMachine) -> Result<(), CliError> {
    let query = FileQuery { path: from.path.clone() };
    let mut stream = client.read_archive(&from.machine, &query).await?;
    let mut stdout = tokio::io::stdout();
    while let Some(data) = stream.next().await? {
        stdout.write_all(&data).await.map_err(CliError::Print)?;
    }
    stdout.flush().await.map_err(CliError::Print)
}

/// Under another name first: a file that is there stays until the new one is whole.
async fn save(mut stream: ByteStream, target: PathBuf) -> Result<Copied, CliError> {
    let write_error = |source| CliError::WriteFile { path: target.clone(), source };
    let meter = Meter::start(target.display().to_string(), stream.length_bytes());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let part = tempfile::Builder::new()
        .prefix(".computer-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(write_error)?;
    let mut file = tokio::fs::File::from_std(part.reopen().map_err(write_error)?);
    while let Some(data) = stream.next().await? {
        file.write_all(&data).await.map_err(write_error)?;
        meter.add(data.len() as u64);
    }
    file.flush().await.map_err(write_error)?;
    part.persist(&target).map_err(|error| write_error(error.error))?;
    Ok(Copied { to: target.display().to_string(), bytes: meter.bytes() })
}

/// The crate keeps every entry beneath the target, links of the archive included.
async fn unpack(mut stream: ByteStream, target: PathBuf) -> Result<Copied, CliError> {
    let meter = Meter::start(target.display().to_string(), None);
    let (sender, reader) = to_thread();
    let into = target.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&into)?;
        let mut archive = tar::Archive::new(reader);
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(false);
        archive.unpack(&into)
    });
    let received = async {
        while let Some(data) = stream.next().await? {
            meter.add(data.len() as u64);
            if !hand(&sender, data).await {
                break;
            }
        }
        Ok::<(), CliError>(())
    }
    .await;
    drop(sender);
    let unpacked = unpacking.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    // What broke the stream explains more than the archive that ended early.
    received?;
    unpacked.map_err(|source| CliError::WriteFile { path: target.clone(), source })?;
    Ok(Copied { to: target.display().to_string(), bytes: meter.bytes() })
}

/// False when the thread has given up.
async fn hand(sender: &tokio::sync::mpsc::Sender<Bytes>, data: Bytes) -> bool {
    sender.send(data).await.is_ok()
}
