//! Makes, moves and removes.

use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use super::error::FileError;
use super::walk::{Manner, Walk};
use super::workspace::{Place, Workspace};
use crate::proto::files::MakeDirectoryRequest;

const DEFAULT_MODE: u32 = 0o755;

/// Makes a directory and those above it. One that is there stays as it is.
pub(crate) fn make_directory(
    workspace: &Workspace,
    request: &MakeDirectoryRequest,
) -> Result<(), FileError> {
    let path = Path::new(&request.path);
    match workspace.descend(path, OFlags::PATH) {
        Ok(there) => {
            let stat = rustix::fs::fstat(&there).map_err(FileError::io("stat", path))?;
            return match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Ok(()),
                _ => Err(FileError::io("make directory", path)(Errno::EXIST)),
            };
        }
        Err(error) if error.is_absent() => {}
        Err(error) => return Err(error),
    }
    workspace.make_directories(path.parent().unwrap_or(Path::new("")))?;
    workspace.make_one(path, request.mode.unwrap_or(DEFAULT_MODE))
}

/// Renames, replacing a file that is there; directories above the new place are made.
pub(crate) fn rename(workspace: &Workspace, from: &Path, to: &Path) -> Result<(), FileError> {
    let source = workspace.place(from)?;
    // What is not there makes no directories.
    stat_of(&source, from)?;
    let target = workspace.place_with_parents(to)?;
    rustix::fs::renameat(&source.parent, source.name, &target.parent, target.name)
        .map_err(FileError::io("move", from))
}

/// Removes a file or link, or a directory: an empty one, or whatever it holds when `is_recursive`.
pub(crate) fn remove(
    workspace: &Workspace,
    path: &Path,
    is_recursive: bool,
) -> Result<(), FileError> {
    let place = workspace.place(path)?;
    let mode = FileType::from_raw_mode(stat_of(&place, path)?.st_mode);
    let flags = match mode {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    if mode == FileType::Directory && is_recursive {
        empty(workspace, path)?;
    }
    rustix::fs::unlinkat(&place.parent, place.name, flags).map_err(FileError::io("remove", path))
}

fn empty(workspace: &Workspace, path: &Path) -> Result<(), FileError> {
    let mut walk = Walk::begin(workspace, path, Manner::Removing)?;
    while let Some(found) = walk.next()? {
        if !found.is_directory() {
            walk.unlink(&found)?;
        }
    }
    Ok(())
}

fn stat_of(place: &Place<'_>, path: &Path) -> Result<rustix::fs::Stat, FileError> {
    rustix::fs::statat(&place.parent, place.name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(FileError::io("stat", path))
}
