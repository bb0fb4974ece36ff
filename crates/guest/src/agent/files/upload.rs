//! Writes a whole file, so that it appears complete or not at all.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::change::{make_parents, to_stat};
use super::error::{FileError, resolve};
use crate::agent::atomic_file::{NewFile, Owner};
use crate::agent::places::Places;
use crate::agent::users::User;
use crate::proto::{FileStat, WriteHeader};

const DEFAULT_MODE: u32 = 0o644;

/// A file on its way; dropped before the end, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    file: NewFile,
    path: PathBuf,
    mode: u32,
    owner: Option<Owner>,
    announced: u64,
    got: u64,
}

impl Upload {
    pub(crate) fn begin(places: &Places, header: WriteHeader) -> Result<Upload, FileError> {
        let path = resolve(places, &header.path)?;
        let owner = owner(places, &header.user)?;
        if header.make_parents {
            make_parents(&path, owner)?;
        }
        let existing = fs::metadata(&path).ok();
        if existing.as_ref().is_some_and(|meta| !meta.is_file()) {
            return Err(FileError::NotAFile(path));
        }
        // Who replaces a file without naming an owner keeps it as it was.
        let mode = match (header.mode, &existing) {
            (0, Some(meta)) => meta.permissions().mode(),
            (0, None) => DEFAULT_MODE,
            (mode, _) => mode,
        };
        let owner = owner.or_else(|| existing.map(|meta| (meta.uid(), meta.gid())));
        let file = NewFile::create(&path).map_err(FileError::io("create", &path))?;
        Ok(Upload { file, path, mode, owner, announced: header.size_bytes, got: 0 })
    }

    pub(crate) fn append(mut self, data: &[u8]) -> Result<Upload, FileError> {
        self.got += data.len() as u64;
        if self.got > self.announced {
            return Err(FileError::Length { announced: self.announced, got: self.got });
        }
        self.file.write(data).map_err(FileError::io("write", &self.path))?;
        Ok(self)
    }

    pub(crate) fn finish(self) -> Result<FileStat, FileError> {
        if self.got != self.announced {
            return Err(FileError::Length { announced: self.announced, got: self.got });
        }
        let path = self.path;
        self.file.publish(self.mode, self.owner).map_err(FileError::io("replace", &path))?;
        fs::symlink_metadata(&path).map(|meta| to_stat(&meta)).map_err(FileError::io("stat", &path))
    }
}

/// None for the agent's own user.
pub(super) fn owner(places: &Places, user: &str) -> Result<Option<Owner>, FileError> {
    if user.is_empty() {
        return Ok(None);
    }
    let user = User::find(places, user)?;
    Ok(user.credentials().map(|_| (user.uid, user.gid)))
}

/// The directory that an entry is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
