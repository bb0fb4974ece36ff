//! Why storage could not be set up or removed.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{byte_size::ByteSize, tool::ToolError};

/// Why storage was not set up or removed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Mounting takes root.
    #[error("setting up storage needs root: run it with sudo")]
    NotRoot,
    /// A path is relative, or unfit for a mount table.
    #[error("{path}: give an absolute path without spaces")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// Something else is mounted at the place.
    #[error(
        "{mount} holds another file system already, from {source_name}: choose another --mount"
    )]
    OtherMount {
        /// The place.
        mount: PathBuf,
        /// What is mounted there.
        source_name: String,
    },
    /// The file system would hide files.
    #[error(
        "{mount} holds files that the new file system would hide: move them away, or choose another --mount"
    )]
    NotEmpty {
        /// The place.
        mount: PathBuf,
    },
    /// The file is there and holds something else.
    #[error("{path} is there and holds no XFS: choose another --path")]
    NotXfs {
        /// The file.
        path: PathBuf,
    },
    /// XFS cannot be that small.
    #[error("{size} is too small for XFS: give at least {smallest}")]
    TooSmall {
        /// The size asked for.
        size: ByteSize,
        /// The smallest that can be.
        smallest: ByteSize,
    },
    /// The file could not be filled.
    #[error(
        "{size} are asked for, and only {free} are free beside {path}: give a smaller --size, or another --path"
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// The size asked for.
        size: ByteSize,
        /// What is free.
        free: ByteSize,
    },
    /// The mounted file system does not clone.
    #[error("the file system at {mount} cannot clone files")]
    NoReflink {
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// A tool of the system failed.
    #[error("{action}")]
    Tool {
        /// What it was to do.
        action: &'static str,
        /// How it failed.
        source: ToolError,
    },
    /// A file could not be handled.
    #[error("{action} {path}")]
    File {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Turns an I/O error at `path` into a [`SetupError`].
pub(super) fn at<P: AsRef<Path>, E: Into<io::Error>>(
    action: &'static str,
    path: P,
) -> impl FnOnce(E) -> SetupError {
    move |source| SetupError::File { action, path: path.as_ref().to_owned(), source: source.into() }
}
