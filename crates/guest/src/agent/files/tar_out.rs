//! Archives of what is in the workspace. Pipes, sockets and devices are left out.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::Stat;
use tar::{Builder, EntryType, Header};

use super::error::FileError;
use super::outgoing::Outgoing;
use super::walk::{Found, Manner, Walk};
use super::workspace::Workspace;

/// Writes all that a directory holds, under its names in that directory.
pub(super) fn directory(
    workspace: &Workspace,
    path: &Path,
    outgoing: &mut Outgoing,
) -> Result<(), FileError> {
    let mut archive = Builder::new(outgoing);
    let mut walk = Walk::begin(workspace, path, Manner::Looking)?;
    while let Some(found) = walk.next()? {
        let error = || FileError::io("archive", &found.path);
        if found.is_directory() {
            let mut header = header(&found.stat, EntryType::Directory);
            archive.append_data(&mut header, &found.path, io::empty()).map_err(error())?;
        } else if found.is_file() {
            append(&mut archive, &walk, &found)?;
        } else if found.is_symlink() {
            let target = walk.read_link(&found)?;
            let mut header = header(&found.stat, EntryType::Symlink);
            archive.append_link(&mut header, &found.path, &target).map_err(error())?;
        }
    }
    archive.finish().map_err(FileError::io("archive", path))
}

/// Writes one file, under its own name.
pub(super) fn file(file: File, path: &Path, outgoing: &mut Outgoing) -> Result<(), FileError> {
    let mut archive = Builder::new(outgoing);
    let name = path.file_name().unwrap_or_default();
    append_file(&mut archive, file, Path::new(name))?;
    archive.finish().map_err(FileError::io("archive", path))
}

fn append(
    archive: &mut Builder<&mut Outgoing>,
    walk: &Walk,
    found: &Found,
) -> Result<(), FileError> {
    match walk.open(found) {
        Ok(file) => append_file(archive, file, &found.path),
        // It has gone since, or has become something else.
        Err(error) if error.is_absent() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that shrinks while it is read is filled up with zeros: its size stands in the archive already.
fn append_file(
    archive: &mut Builder<&mut Outgoing>,
    file: File,
    path: &Path,
) -> Result<(), FileError> {
    let stat = rustix::fs::fstat(&file).map_err(FileError::io("stat", path))?;
    let mut header = header(&stat, EntryType::Regular);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    header.set_size(size);
    let content = file.chain(io::repeat(0)).take(size);
    archive.append_data(&mut header, path, content).map_err(FileError::io("archive", path))
}

fn header(stat: &Stat, entry_type: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(0);
    header
}
