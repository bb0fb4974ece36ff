//! Files made, cloned and published so that a crash leaves either the old state or the new one.
//!
//! Everything here blocks; an async caller runs it on the blocking pool.

mod clone;
mod copy;
mod durable;
mod extents;
mod open;
mod sha256;
mod sparse;

pub use clone::{CloneError, CloneMode, Cloned, clone_file, supports_reflink};
pub use durable::{DurableError, publish, sync_data, sync_directory, write_file};
pub use extents::{DataExtents, Extent};
pub use sha256::{Sha256Error, sha256_file};

pub(crate) use durable::{begin_writeback, rename_into_place, sync_file};
pub(crate) use extents::punch_hole;
pub use open::open_regular;
pub(crate) use open::{create_new, open_regular_for_writing, owned_by_daemon};
pub(crate) use sparse::{is_zero, write_sparse};
