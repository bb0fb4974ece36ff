//! Why an image could not be built, read or removed.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{name::ImageName, vmlinux::InvalidKernel};
use crate::{byte_size::ByteSize, tool::ToolError};

/// Why an image operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Making a file system with files of other users takes root.
    #[error("building and deleting images needs root: run it with sudo")]
    NotRoot,
    /// No image of this name is in the image directory.
    #[error("there is no image {name} in {directory}")]
    NotFound {
        /// The name asked for.
        name: ImageName,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The host configures no Debian mirror of the suite.
    #[error(
        "this host has no apt source of the suite {suite} with the component main: add one, or choose another with --suite"
    )]
    NoSources {
        /// The suite asked for.
        suite: String,
    },
    /// The host is no Debian, so the suite is not known.
    #[error("this host is no Debian release: name the suite to build from with --suite")]
    UnknownSuite,
    /// No agent binary was found.
    #[error(
        "no computer-agent was found ({looked}): build it with `make agent`, or name it with --agent"
    )]
    NoAgent {
        /// Where it was looked for.
        looked: String,
    },
    /// The agent needs a loader and libraries that an image need not have.
    #[error("{path} is no static executable for this machine: build it with `make agent`")]
    AgentNotStatic {
        /// The agent.
        path: PathBuf,
    },
    /// The kernel package holds no kernel, or more than one.
    #[error("the kernel package holds no single kernel below {path}")]
    NoKernel {
        /// The unpacked package.
        path: PathBuf,
    },
    /// The kernel cannot be read.
    #[error("read the kernel {path}")]
    Kernel {
        /// The compressed kernel.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidKernel,
    },
    /// A driver that the guest cannot start without is in no module.
    #[error("the kernel has no driver {module}")]
    NoModule {
        /// The module's name.
        module: String,
    },
    /// A kernel module is compressed in an unknown way.
    #[error("the kernel module {path} is compressed in an unknown way")]
    ModuleCompression {
        /// The module.
        path: PathBuf,
    },
    /// The files do not fit the root file system.
    #[error("the files of the image do not fit {size}: give a larger --size")]
    TooSmall {
        /// The size asked for.
        size: ByteSize,
        /// What mke2fs said.
        source: ToolError,
    },
    /// Another build holds the image directory.
    #[error("another build has been using {directory} for {seconds} s")]
    Busy {
        /// The image directory.
        directory: PathBuf,
        /// How long this one waited.
        seconds: u64,
    },
    /// An `image.json` does not say what it must.
    #[error("read {path}")]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An `image.json` is of a version that this program does not know.
    #[error("{path} is of version {version}; this program reads version {known}")]
    DescriptionVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version this program reads.
        known: u32,
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

/// Turns an I/O error at `path` into an [`ImageError`].
pub(super) fn at<P: AsRef<Path>, E: Into<io::Error>>(
    action: &'static str,
    path: P,
) -> impl FnOnce(E) -> ImageError {
    move |source| ImageError::File { action, path: path.as_ref().to_owned(), source: source.into() }
}

/// Turns a tool's failure into an [`ImageError`].
pub(super) fn doing(action: &'static str) -> impl FnOnce(ToolError) -> ImageError {
    move |source| ImageError::Tool { action, source }
}
