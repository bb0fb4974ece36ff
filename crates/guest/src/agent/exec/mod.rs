//! Commands as sessions.
//!
//! ```text
//!   Start -> spawn -> Session { stdin queue, output of both streams in order, exit }
//!                        |  pump tasks: pipe or terminal <-> queue, output
//!                        |  supervisor task: timeout, exit, what is left of the tree
//!   Attachment <-> output, by position; what was acknowledged stays a while, to be read again
//! ```
//! A session belongs to no connection. Its output waits in a bounded buffer until somebody acknowledges it; a full buffer
//! stops the command (or drops the oldest bytes, as it was started).

mod attach;
mod output;
mod pump;
mod readers;
mod session;
mod spawn;
mod stdin;
mod supervise;
mod table;

pub(crate) use attach::{Acknowledger, Attachment, Detached};
pub(crate) use output::Cut;
pub(crate) use session::Session;
pub(crate) use spawn::StartError;
pub(crate) use stdin::WriteError;
pub(crate) use table::SessionTable;
