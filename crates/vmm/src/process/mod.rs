//! Who a process is, whether it still lives, and how it is waited for and killed.
//!
//! A process is named by pid, start time and boot id ([`VmmHandle`]): a pid alone may belong to a stranger after a restart
//! of the daemon or of the host. Every signal and every wait goes through a pidfd that is opened first and checked after,
//! so that it can only ever reach the process that was meant.

pub(crate) mod file_size;
mod handle;
mod stat;

pub use engine::port::VmmHandle;
pub use handle::{LiveProcess, ProcessError, identify};
pub use stat::{ProcessStat, boot_id};
