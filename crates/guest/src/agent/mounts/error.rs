//! Why a bucket is not mounted.

use std::io;
use std::path::PathBuf;

use crate::agent::helper::HelperError;

/// Nothing here repeats a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the image has no {0}")]
    Lacking(&'static str),
    #[error("there are too many mounts")]
    TooMany,
    #[error("{action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("start rclone")]
    Start(#[source] io::Error),
    #[error("prepare the remote's secret")]
    Obscure(#[source] HelperError),
    #[error("rclone ended: {0}")]
    Ended(String),
    #[error("it was not mounted in time: {0}")]
    Deadline(String),
    #[error("it is mounted and cannot be listed: {0}")]
    Unlistable(String),
}

impl MountError {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> MountError {
        let path = path.into();
        move |source| MountError::File { action, path, source }
    }
}
