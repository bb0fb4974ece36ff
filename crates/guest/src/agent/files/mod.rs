//! Files beneath the workspace, as the host reads and changes them.
//!
//! ```text
//!   Workspace: every path resolved by the kernel, beneath   Names: one change of a name at a time
//!     look, walk, grep, watch: what is there
//!     read, tar_out -> Outgoing --credit--> host            each stream on a thread that may block;
//!     write, tar_in <- Incoming <--credit-- host            a bound on how many there are
//! ```

mod change;
mod error;
mod grep;
mod incoming;
mod look;
mod names;
mod outgoing;
mod read;
mod spool;
mod tar_in;
mod tar_out;
mod version;
mod walk;
mod watch;
mod workspace;
mod write;

pub(crate) use change::{make_directory, remove, rename};
pub(crate) use error::{FileError, Kind};
pub(crate) use grep::grep;
pub(crate) use incoming::{Incoming, Piece};
pub(crate) use look::{list, stat};
pub(crate) use names::Names;
pub(crate) use outgoing::{Credit, Outgoing};
pub(crate) use read::Source;
pub(crate) use watch::Watcher;
pub(crate) use workspace::Workspace;
pub(crate) use write::Destination;
