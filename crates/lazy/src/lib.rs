//! Files that are filled from an object store while a guest already uses them.
//!
//! ```text
//!  daemon ── a child      ──▶ supervisor (root)          server (a uid of its own)
//!                               mounts, holds /dev/fuse ─▶ answers reads and writes of the guest,
//!                               starts a new server when   fetches chunks: faults first, the order
//!                               one dies, ends the VMM     of an earlier run next, then the rest
//!                               when a chunk is lost  ◀──  says how far it is
//! ```
//! A file lies where it will be a plain file once it is full; the file system shows it meanwhile.
//! What is read is a chunked form (`chunks::chunked`) whose packs lie in an object store. Every chunk is
//! verified against its document before a byte of it is served. A chunk that the guest has written
//! to is never fetched again.
//!
//! # Where things are
//! - [`job`]: what is filled, as the daemon writes it down; [`status`]: how far it is.
//! - [`presence`]: which chunks are there, across the death of a server and of the host.
//! - [`file`](mod@file), [`fetcher`], [`order`]: one file, what fetches it, in which order;
//!   [`chunk_fetch`], [`packs`], [`renewal`]: one fetching, by URLs that are renewed.
//! - [`file_system`], [`session`], [`server`]: the FUSE side.
//! - [`supervisor`], [`mount`], [`place`]: the processes, and what lies in the directory of a job.

mod background;
pub mod chunk_fetch;
pub mod fetcher;
pub mod file;
pub mod file_system;
pub mod job;
pub mod mount;
pub mod order;
pub mod packs;
pub mod place;
pub mod presence;
mod program;
pub mod renewal;
pub mod server;
pub mod session;
pub mod status;
pub mod supervisor;
mod sys;
pub mod word;

pub use program::program;
