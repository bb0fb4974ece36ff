//! Files of guests: the operations of the contract, and streams for what does not fit into one of them.
//!
//! ```text
//!  operate: one request, one answer -> look, change, patch \
//!  content, archive: bytes both ways                        > reach -> the agent's client, beneath the workspace
//!  watch: a line for each change                           /
//! ```
//! A stopped machine is reached by booting its guest for its files only (`stopped`).

mod archive;
mod change;
mod content;
mod failure;
mod look;
mod once;
mod operate;
mod patch;
mod reach;
mod stopped;
mod stream;
mod version;
mod watch;
mod write;

pub(super) use archive::{read as read_archive, write as write_archive};
pub(super) use content::{read as read_content, write as write_content};
pub(super) use once::Keys;
pub(super) use operate::operate;
pub(super) use reach::Turns;
pub(super) use watch::watch;
