//! All that lies beneath a directory, one entry after another, in whatever order the file system has them. Holds one
//! descriptor for each level, and follows no link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::FileError;
use super::workspace::Workspace;
use crate::limits;

/// A walk under way.
pub(super) struct Walk {
    levels: Vec<Level>,
    manner: Manner,
    /// The directory that was found last: entered next, unless it is skipped.
    pending: Option<PathBuf>,
}

/// What becomes of a directory when all in it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It stays.
    Looking,
    /// It is removed, if it is empty now.
    Removing,
}

struct Level {
    directory: Dir,
    path: PathBuf,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Found {
    /// Relative to where the walk began.
    pub(super) path: PathBuf,
    /// Of itself, not of what it links to.
    pub(super) stat: Stat,
}

impl Found {
    pub(super) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile
    }

    pub(super) fn is_symlink(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Symlink
    }

    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }
}

impl Walk {
    /// Opens the directory.
    pub(super) fn begin(
        workspace: &Workspace,
        path: &Path,
        manner: Manner,
    ) -> Result<Walk, FileError> {
        let file = workspace.descend(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let directory = Dir::new(file).map_err(FileError::io("list", path))?;
        let top = Level { directory, path: PathBuf::new() };
        Ok(Walk { levels: vec![top], manner, pending: None })
    }

    /// The next entry; what vanishes meanwhile is left out.
    pub(super) fn next(&mut self) -> Result<Option<Found>, FileError> {
        self.enter()?;
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            let entry = match level.directory.read() {
                None => {
                    let left = self.levels.pop().map(|level| level.path);
                    self.leave(left.as_deref())?;
                    continue;
                }
                Some(Err(Errno::NOENT)) => continue,
                Some(entry) => entry.map_err(FileError::io("list", &level.path))?,
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = level.path.join(OsStr::from_bytes(name));
            let directory = level.directory.fd().map_err(FileError::io("list", &path))?;
            let stat =
                match rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => continue,
                    stat => stat.map_err(FileError::io("stat", &path))?,
                };
            let found = Found { path, stat };
            if found.is_directory() {
                self.pending = Some(found.path.clone());
            }
            return Ok(Some(found));
        }
    }

    /// Leaves out what is in the directory that was found last.
    pub(super) fn skip(&mut self) {
        self.pending = None;
    }

    /// Opens the regular file that was found last.
    pub(super) fn open(&self, found: &Found) -> Result<File, FileError> {
        let error = FileError::io::<Errno>("open", &found.path);
        let Some(level) = self.levels.last() else { return Err(error(Errno::NOENT)) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = level.directory.fd().and_then(|directory| {
            rustix::fs::openat(directory, found.name(), flags, Mode::empty())
        });
        opened.map(File::from).map_err(error)
    }

    /// What the link that was found last says.
    pub(super) fn read_link(&self, found: &Found) -> Result<OsString, FileError> {
        let error = FileError::io::<Errno>("read the link", &found.path);
        let Some(level) = self.levels.last() else { return Err(error(Errno::NOENT)) };
        let target = level
            .directory
            .fd()
            .and_then(|directory| rustix::fs::readlinkat(directory, found.name(), Vec::new()));
        target.map(|target| OsStr::from_bytes(target.to_bytes()).to_owned()).map_err(error)
    }

    /// Removes what was found last, which is no directory.
    pub(super) fn unlink(&self, found: &Found) -> Result<(), FileError> {
        self.unlink_with(&found.path, AtFlags::empty())
    }

    fn leave(&self, left: Option<&Path>) -> Result<(), FileError> {
        match (self.manner, left) {
            // Where the walk began is the caller's.
            (Manner::Removing, Some(left)) if !self.levels.is_empty() => {
                self.unlink_with(left, AtFlags::REMOVEDIR)
            }
            (Manner::Removing | Manner::Looking, _) => Ok(()),
        }
    }

    fn unlink_with(&self, path: &Path, flags: AtFlags) -> Result<(), FileError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let name = path.file_name().unwrap_or_default();
        let removed =
            level.directory.fd().and_then(|directory| rustix::fs::unlinkat(directory, name, flags));
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(FileError::io("remove", path)(error)),
        }
    }

    fn enter(&mut self) -> Result<(), FileError> {
        let Some(path) = self.pending.take() else { return Ok(()) };
        if self.levels.len() >= limits::WALK_LEVELS {
            return Err(FileError::Invalid("directories are nested too deeply"));
        }
        let Some(above) = self.levels.last() else { return Ok(()) };
        let name = path.file_name().unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = above
            .directory
            .fd()
            .and_then(|directory| rustix::fs::openat(directory, name, flags, Mode::empty()))
            .and_then(Dir::new);
        match opened {
            Ok(directory) => self.levels.push(Level { directory, path }),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(FileError::io("list", &path)(error)),
        }
        Ok(())
    }
}
