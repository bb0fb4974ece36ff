//! Files as the host reads and writes them, as root. What confines paths to the workspace is the host's business.

mod change;
mod error;
mod read;
mod upload;

pub(crate) use change::{list, make_directory, remove, rename, stat};
pub(crate) use error::FileError;
pub(crate) use read::{open, stream};
pub(crate) use upload::Upload;
