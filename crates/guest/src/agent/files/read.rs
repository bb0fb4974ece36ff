//! What a stream to the host carries: a file, a part of one, or an archive.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};

use super::error::FileError;
use super::look::to_stat;
use super::outgoing::Outgoing;
use super::tar_out;
use super::workspace::Workspace;
use crate::proto::files::{Form, ReadOpen, Stat};

/// What was asked for, opened.
#[derive(Debug)]
pub(crate) struct Source {
    workspace: Workspace,
    path: PathBuf,
    stat: Stat,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File { file: File, length: u64 },
    Archive { of: Option<File> },
}

impl Source {
    /// Opens it. A regular file, or for an archive a directory too; anything else (a pipe, a device) could block for ever.
    pub(crate) fn open(workspace: Workspace, open: &ReadOpen) -> Result<Source, FileError> {
        let path = PathBuf::from(&open.path);
        let (mut file, stat) = open_regular(&workspace, &path)?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let content = match (open.form(), is_directory) {
            (Form::Tar, true) => Content::Archive { of: None },
            (Form::Tar, false) => Content::Archive { of: Some(file) },
            (Form::File | Form::Unspecified, true) => return Err(FileError::NotAFile(path)),
            (Form::File | Form::Unspecified, false) => {
                let length = match file.seek(SeekFrom::Start(open.offset)) {
                    Ok(_) if open.length == 0 => u64::MAX,
                    Ok(_) => open.length,
                    // Beyond what a file can hold here: that is past the end of this one too.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => 0,
                    Err(error) => return Err(FileError::io("seek in", &path)(error)),
                };
                Content::File { file, length }
            }
        };
        let stat = to_stat(&stat);
        Ok(Source { workspace, path, stat, content })
    }

    /// Sends all of it.
    pub(crate) fn send(self, mut outgoing: Outgoing) -> Result<(), FileError> {
        let error = || FileError::io("read", &self.path);
        outgoing.stat(self.stat).map_err(error())?;
        match self.content {
            Content::File { file, length } => {
                outgoing.send_all(file.take(length)).map_err(error())?;
            }
            Content::Archive { of: None } => {
                tar_out::directory(&self.workspace, &self.path, &mut outgoing)?;
            }
            Content::Archive { of: Some(file) } => {
                tar_out::file(file, &self.path, &mut outgoing)?;
            }
        }
        outgoing.end().map_err(error())
    }
}

/// Opens a regular file or a directory.
pub(super) fn open_regular(
    workspace: &Workspace,
    path: &Path,
) -> Result<(File, rustix::fs::Stat), FileError> {
    let file = workspace.descend(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&file).map_err(FileError::io("stat", path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok((File::from(file), stat)),
        _ => Err(FileError::NotAFile(path.to_owned())),
    }
}
