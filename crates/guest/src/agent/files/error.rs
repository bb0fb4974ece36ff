//! Why a file operation failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::agent::places::Places;
use crate::agent::users::UserError;
use crate::limits;

/// Its `Io` variant names what was done to which path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("{0} is no regular file")]
    NotAFile(PathBuf),
    #[error("{got} bytes came, {announced} were announced")]
    Length { announced: u64, got: u64 },
    #[error("find the owner")]
    User(#[from] UserError),
    #[error("{operation} {path}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
}

impl FileError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError::Io { operation, path, source }
    }
}

/// A path of a request in the guest.
pub(super) fn resolve(places: &Places, path: &str) -> Result<PathBuf, FileError> {
    if path.len() > limits::PATH_BYTES {
        return Err(FileError::Invalid("the path is too long"));
    }
    if path.contains('\0') {
        return Err(FileError::Invalid("a NUL in the path"));
    }
    Ok(places.resolve(path))
}
