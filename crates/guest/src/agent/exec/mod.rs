//! Commands as sessions.
//!
//! ```text
//!   Start -> spawn -> Session { stdin queue, stdout and stderr buffers, exit }
//!                        |  pump tasks: pipe or terminal <-> buffers
//!                        |  supervisor task: timeout, exit, what is left of the tree
//!   Attach <-> buffers, by offset; acknowledged bytes are forgotten
//! ```
//! A session belongs to no connection. Its output waits in bounded buffers until a host acknowledges it; a full buffer
//! stops the command (or drops the oldest bytes, as it was started).

mod attach;
mod output;
mod pump;
mod session;
mod spawn;
mod stdin;
mod supervise;
mod table;

pub(crate) use attach::attach;
pub(crate) use session::Session;
pub(crate) use spawn::StartError;
pub(crate) use stdin::WriteError;
pub(crate) use table::SessionTable;
