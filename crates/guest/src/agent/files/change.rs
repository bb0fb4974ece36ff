//! Looks at directories, makes, moves and removes.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::error::{FileError, resolve};
use super::upload::{owner, parent};
use crate::agent::atomic_file::Owner;
use crate::agent::places::Places;
use crate::limits;
use crate::proto::{
    DirectoryEntry, FileKind, FileStat, ListDirectoryRequest, ListDirectoryResponse,
    MakeDirectoryRequest, MoveRequest, RemovePathRequest, StatRequest,
};

const DEFAULT_MODE: u32 = 0o755;

pub(super) fn to_stat(meta: &Metadata) -> FileStat {
    let kind = if meta.is_file() {
        FileKind::File
    } else if meta.is_dir() {
        FileKind::Directory
    } else if meta.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    };
    FileStat {
        kind: kind.into(),
        size_bytes: meta.len(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        modified_unix_ns: meta
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(meta.mtime_nsec()),
    }
}

/// `None` when nothing is there.
pub(crate) fn stat(places: &Places, request: &StatRequest) -> Result<Option<FileStat>, FileError> {
    let path = resolve(places, &request.path)?;
    let meta =
        if request.follow_symlink { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
    match meta {
        Ok(meta) => Ok(Some(to_stat(&meta))),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(FileError::io("stat", &path)(error)),
    }
}

/// The next entries in byte order of their names. Keeps no more than it answers, however large the directory is.
pub(crate) fn list(
    places: &Places,
    request: &ListDirectoryRequest,
) -> Result<ListDirectoryResponse, FileError> {
    let path = resolve(places, &request.path)?;
    let limit = match request.limit {
        0 => limits::DIRECTORY_ENTRIES,
        limit => limit.min(limits::DIRECTORY_ENTRIES),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut names = std::collections::BTreeSet::new();
    let mut more = false;
    for entry in fs::read_dir(&path).map_err(FileError::io("list", &path))? {
        let entry = entry.map_err(FileError::io("list", &path))?;
        // The wire has text; a name that is none cannot be asked for either.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.as_str() <= request.after.as_str() && !request.after.is_empty() {
            continue;
        }
        names.insert(name);
        if names.len() > limit {
            names.pop_last();
            more = true;
        }
    }
    let entries = names
        .into_iter()
        .filter_map(|name| {
            // It may have gone since.
            let stat = to_stat(&fs::symlink_metadata(path.join(&name)).ok()?);
            Some(DirectoryEntry { name, stat: Some(stat) })
        })
        .collect();
    Ok(ListDirectoryResponse { entries, more })
}

pub(crate) fn make_directory(
    places: &Places,
    request: &MakeDirectoryRequest,
) -> Result<(), FileError> {
    let path = resolve(places, &request.path)?;
    let owner = owner(places, &request.user)?;
    if request.make_parents {
        make_parents(&path, owner)?;
    }
    let mode = if request.mode == 0 { DEFAULT_MODE } else { request.mode };
    make_one(&path, mode, owner)
}

/// Makes the directories above a path that are missing.
pub(super) fn make_parents(path: &Path, owner: Option<Owner>) -> Result<(), FileError> {
    let missing: Vec<&Path> =
        path.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    missing.into_iter().rev().try_for_each(|directory| make_one(directory, DEFAULT_MODE, owner))
}

fn make_one(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), FileError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        Err(error) => return Err(FileError::io("make directory", path)(error)),
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))
        .map_err(FileError::io("set the mode of", path))?;
    match owner {
        Some((uid, gid)) => {
            chown(path, Some(uid), Some(gid)).map_err(FileError::io("set the owner of", path))
        }
        None => Ok(()),
    }
}

/// False when there was nothing.
pub(crate) fn remove(places: &Places, request: &RemovePathRequest) -> Result<bool, FileError> {
    let path = resolve(places, &request.path)?;
    if parent(&path) == path {
        return Err(FileError::Invalid("the root cannot be removed"));
    }
    let outcome = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_dir() && request.recursive => fs::remove_dir_all(&path),
        Ok(meta) if meta.is_dir() => fs::remove_dir(&path),
        Ok(_) => fs::remove_file(&path),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("remove", &path)(error)),
    }
}

pub(crate) fn rename(places: &Places, request: &MoveRequest) -> Result<(), FileError> {
    let (from, to) = (resolve(places, &request.from)?, resolve(places, &request.to)?);
    fs::rename(&from, &to).map_err(FileError::io("move", &from))
}
