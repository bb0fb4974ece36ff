//! Into a machine.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use contract::client::{Client, Content};
use contract::file::{FileOperationName, FileOperationRequest, FileType};
use contract::file_stream::{FileQuery, WriteFileQuery};

use super::Copied;
use super::pipe::{PIECE_BYTES, from_thread, pump};
use super::place::InMachine;
use crate::error::CliError;
use crate::progress::Meter;

/// Copies a file or a directory.
pub(super) async fn copy(client: &Client, from: &Path, to: &InMachine) -> Result<Copied, CliError> {
    let read_error = |source| CliError::ReadFile { path: from.to_owned(), source };
    let meta = std::fs::metadata(from).map_err(read_error)?;
    let target = target(client, from, to).await?;
    if meta.is_dir() {
        return archive(client, from.to_owned(), &target).await;
    }
    let file = File::open(from).map_err(read_error)?;
    let meter = Meter::start(target.shown(), Some(meta.len()));
    let stream = from_thread(meter.clone(), move |writer| pump(file, writer));
    let query =
        WriteFileQuery { path: target.path.clone(), mode: Some(meta.permissions().mode() & 0o777) };
    // A pipe or a device is as long as it turns out to be.
    let length_bytes = meta.is_file().then_some(meta.len());
    client.write_file(&target.machine, &query, Content { length_bytes, stream }).await?;
    Ok(Copied { to: target.shown(), bytes: meter.bytes() })
}

/// Unpacks the archive that standard input is.
pub(super) async fn pipe(client: &Client, to: &InMachine) -> Result<Copied, CliError> {
    let meter = Meter::start(to.shown(), None);
    let stream = from_thread(meter.clone(), |writer| pump(io::stdin().lock(), writer));
    let query = FileQuery { path: to.path.clone() };
    client.write_archive(&to.machine, &query, Content { length_bytes: None, stream }).await?;
    Ok(Copied { to: to.shown(), bytes: meter.bytes() })
}

async fn archive(client: &Client, from: PathBuf, to: &InMachine) -> Result<Copied, CliError> {
    let meter = Meter::start(to.shown(), None);
    let stream = from_thread(meter.clone(), move |writer| {
        let mut archive = tar::Builder::new(BufWriter::with_capacity(PIECE_BYTES, writer));
        archive.follow_symlinks(false);
        archive.append_dir_all(".", &from)?;
        archive.into_inner()?.flush()
    });
    let query = FileQuery { path: to.path.clone() };
    client.write_archive(&to.machine, &query, Content { length_bytes: None, stream }).await?;
    Ok(Copied { to: to.shown(), bytes: meter.bytes() })
}

/// As cp(1) does it: into a directory that is there, else under the name that is given.
async fn target(client: &Client, from: &Path, to: &InMachine) -> Result<InMachine, CliError> {
    let name =
        from.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let name = name.ok_or(CliError::CopyName { path: from.to_owned() })?;
    let is_directory = to.path.is_empty()
        || to.path.ends_with('/')
        || file_type(client, to).await? == Some(FileType::Directory);
    Ok(if is_directory { to.join(&name) } else { to.clone() })
}

/// What a path in a machine is.
pub(super) async fn file_type(
    client: &Client,
    at: &InMachine,
) -> Result<Option<FileType>, CliError> {
    let request = FileOperationRequest::new(FileOperationName::Stat, &at.path);
    match client.operate_on_files(&at.machine, &request).await {
        Ok(answer) => Ok(answer.stat.map(|stat| stat.file_type)),
        Err(error) if error.code() == Some(contract::ErrorCode::NotFound) => {
            // The machine itself may be what is not there.
            client.show_machine(&at.machine).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
