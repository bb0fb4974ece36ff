//! What becomes of a stream from the host: a whole file, a part of one, or what an archive holds.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::error::FileError;
use super::incoming::Incoming;
use super::look::to_stat;
use super::names::Names;
use super::read::open_regular;
use super::spool::Spool;
use super::tar_in;
use super::version::version_of;
use super::workspace::{Place, Workspace};
use crate::proto::files::{Form, Stat, WriteOpen};

const DEFAULT_MODE: u32 = 0o644;
/// How much is copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// Where a stream goes.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) workspace: Workspace,
    pub(crate) names: Names,
    pub(crate) open: WriteOpen,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stat: Stat,
    pub(crate) entries: u64,
}

impl Destination {
    /// Takes the stream to its end. One that is cut changes nothing; of an archive, the entries before stay.
    pub(crate) fn take(self, mut incoming: Incoming) -> Result<Written, FileError> {
        let path = PathBuf::from(&self.open.path);
        match self.open.form() {
            Form::Tar => {
                let entries = tar_in::unpack(&self.workspace, &path, &mut incoming)?;
                let stat = super::look::stat(&self.workspace, &path)?.unwrap_or_default();
                Ok(Written { stat, entries })
            }
            Form::File | Form::Unspecified => {
                let stat = self.take_file(&path, &mut incoming)?;
                Ok(Written { stat, entries: 1 })
            }
        }
    }

    fn take_file(&self, path: &Path, incoming: &mut Incoming) -> Result<Stat, FileError> {
        let path = real_path(&self.workspace, path)?;
        let place = self.workspace.place_with_parents(&path)?;
        // What could not be replaced at the end is refused before anything is sent for nothing.
        Existing::look(&self.workspace, &path)?;
        let mut spool = Spool::begin(&place).map_err(FileError::io("create a file in", &path))?;
        copy(incoming, &mut spool.file).map_err(FileError::io("write", &path))?;
        let _held = self.names.hold(&place, &path)?;
        let existing = Existing::look(&self.workspace, &path)?;
        if let Some(expected) = self.open.expected_version {
            demand_version(existing.as_ref(), expected, &path)?;
        }
        match self.open.offset {
            None => replace(&self.workspace, spool, existing.as_ref(), self.open.mode, &path)?,
            Some(offset) => self.patch_in(&place, spool, offset, &path)?,
        }
        let stat = super::look::stat(&self.workspace, &path)?;
        stat.ok_or_else(|| FileError::io("stat", &path)(Errno::NOENT))
    }

    /// Puts the data into the file, which is made where it is missing.
    fn patch_in(
        &self,
        place: &Place<'_>,
        mut spool: Spool<'_>,
        offset: u64,
        path: &Path,
    ) -> Result<(), FileError> {
        let error = || FileError::io("write", path);
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&place.parent, place.name, flags, Mode::empty());
        let (file, is_new) = match opened {
            Err(Errno::NOENT) => {
                let (create, mode) = (flags | OFlags::CREATE | OFlags::EXCL, Mode::from(0o600));
                (rustix::fs::openat(&place.parent, place.name, create, mode), true)
            }
            opened => (opened, false),
        };
        let mut file = File::from(file.map_err(FileError::io("open", path))?);
        if is_new {
            self.workspace.give(&file, path)?;
        }
        if is_new || self.open.mode.is_some() {
            set_mode(&file, self.open.mode.unwrap_or(DEFAULT_MODE), path)?;
        }
        spool.file.seek(SeekFrom::Start(0)).map_err(error())?;
        file.seek(SeekFrom::Start(offset)).map_err(error())?;
        copy(&mut spool.file, &mut file).map_err(error())
    }
}

/// The file that is there already.
struct Existing {
    file: File,
    stat: rustix::fs::Stat,
}

impl Existing {
    fn look(workspace: &Workspace, path: &Path) -> Result<Option<Existing>, FileError> {
        match open_regular(workspace, path) {
            Ok((_, stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                Err(FileError::NotAFile(path.to_owned()))
            }
            Ok((file, stat)) => Ok(Some(Existing { file, stat })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn demand_version(
    existing: Option<&Existing>,
    expected: u64,
    path: &Path,
) -> Result<(), FileError> {
    let Some(existing) = existing else { return Err(FileError::io("open", path)(Errno::NOENT)) };
    let found = version_of(&existing.file).map_err(FileError::io("read", path))?;
    if found == expected {
        return Ok(());
    }
    Err(FileError::Version { path: path.to_owned(), found, expected })
}

/// Who replaces a file without naming a mode keeps it as it was; its owner stays in any case.
fn replace(
    workspace: &Workspace,
    spool: Spool<'_>,
    existing: Option<&Existing>,
    mode: Option<u32>,
    path: &Path,
) -> Result<(), FileError> {
    match existing {
        Some(Existing { stat, .. }) => {
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            rustix::fs::fchown(&spool.file, Some(uid), Some(gid))
                .map_err(FileError::io("set the owner of", path))?;
        }
        None => workspace.give(&spool.file, path)?,
    }
    let kept = existing.map_or(DEFAULT_MODE, |existing| existing.stat.st_mode);
    set_mode(&spool.file, mode.unwrap_or(kept), path)?;
    spool.publish().map_err(FileError::io("replace", path))
}

fn set_mode(file: &File, mode: u32, path: &Path) -> Result<(), FileError> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))
        .map_err(FileError::io("set the mode of", path))
}

/// Where the file itself is, when the path ends in a link to it: the file is replaced, and not the link.
pub(super) fn real_path(workspace: &Workspace, path: &Path) -> Result<PathBuf, FileError> {
    match workspace.followed(path) {
        Err(error) if error.is_absent() => Ok(path.to_owned()),
        outcome => outcome,
    }
}

/// A new file out of an archive, over what is there.
pub(super) fn new_file(
    workspace: &Workspace,
    path: &Path,
    mode: u32,
    content: &mut impl Read,
) -> Result<Stat, FileError> {
    let place = workspace.place_with_parents(path)?;
    let mut spool = Spool::begin(&place).map_err(FileError::io("create a file in", path))?;
    copy(content, &mut spool.file).map_err(FileError::Archive)?;
    workspace.give(&spool.file, path)?;
    set_mode(&spool.file, mode, path)?;
    let stat = rustix::fs::fstat(&spool.file).map_err(FileError::io("stat", path))?;
    spool.publish().map_err(FileError::io("replace", path))?;
    Ok(to_stat(&stat))
}

fn copy(from: &mut impl Read, to: &mut File) -> io::Result<()> {
    let mut from = io::BufReader::with_capacity(COPY_BYTES, from);
    io::copy(&mut from, to).map(drop)
}
