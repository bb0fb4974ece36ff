//! Why a file could not be read or changed.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What the host decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is there.
    Absent,
    /// Something is there already.
    Exists,
    /// The request itself is wrong.
    Invalid,
    /// What is there is not what it would have to be.
    Unfit,
    /// It has another version than expected.
    Version,
    /// No space is left.
    Full,
    /// The file system failed.
    Failed,
}

/// See [`FileError::kind`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("{0} leads out of the workspace")]
    Outside(PathBuf),
    #[error("{0} is no regular file")]
    NotAFile(PathBuf),
    #[error("{path} has version {found}, not {expected}")]
    Version { path: PathBuf, found: u64, expected: u64 },
    #[error("{0} is being changed by another request")]
    Busy(PathBuf),
    #[error("the pattern is no regular expression that can be searched for")]
    Pattern(#[source] Box<grep_regex::Error>),
    #[error("read the archive")]
    Archive(#[source] io::Error),
    #[error("{operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
}

impl FileError {
    pub(super) fn io<E: Into<io::Error>>(
        operation: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> FileError {
        let path = path.as_ref().to_owned();
        move |source| FileError::Io { operation, path, source: source.into() }
    }

    /// The error of a resolution by `openat2`.
    pub(super) fn resolve(path: &Path) -> impl FnOnce(Errno) -> FileError {
        let path = path.to_owned();
        move |error| match error {
            Errno::XDEV | Errno::LOOP => FileError::Outside(path),
            error => FileError::Io { operation: "open", path, source: error.into() },
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            FileError::Invalid(_)
            | FileError::Outside(_)
            | FileError::Pattern(_)
            | FileError::Archive(_) => Kind::Invalid,
            FileError::NotAFile(_) | FileError::Busy(_) => Kind::Unfit,
            FileError::Version { .. } => Kind::Version,
            FileError::Io { source, .. } => kind_of(source),
        }
    }

    /// Nothing is there.
    pub(super) fn is_absent(&self) -> bool {
        self.kind() == Kind::Absent
    }
}

fn kind_of(error: &io::Error) -> Kind {
    let Some(error) = Errno::from_io_error(error) else { return Kind::Failed };
    match error {
        Errno::NOENT => Kind::Absent,
        Errno::EXIST => Kind::Exists,
        Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP | Errno::INVAL | Errno::FBIG => {
            Kind::Invalid
        }
        Errno::NOTDIR
        | Errno::ISDIR
        | Errno::NOTEMPTY
        | Errno::BUSY
        | Errno::TXTBSY
        | Errno::ROFS
        | Errno::PERM
        | Errno::ACCESS
        | Errno::NXIO
        | Errno::OPNOTSUPP => Kind::Unfit,
        Errno::NOSPC | Errno::DQUOT => Kind::Full,
        _ => Kind::Failed,
    }
}
