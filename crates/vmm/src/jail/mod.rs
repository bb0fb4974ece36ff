//! The jail of a VMM: what Firecracker's jailer gives, for any program.
//!
//! ```text
//!  daemon             launcher                     keeper (pid 1 of the jail)      VMM
//!  spawn ── exec ──▶  read the spec (stdin)
//!   (own session,     enter the network namespace
//!    in its cgroup)   open tap and listeners
//!                     unshare, fork ─────────────▶ build the root, pivot
//!                                                  drop every privilege
//!                                                  start the VMM ───────────────▶ runs
//!  identity ◀──────── word (stdout), exit ◀─────── "started"
//!                                                  keep its console, record its end
//! ```
//! The launcher is a fresh, single-threaded process: `computerd vmm-launcher` runs [`launcher::run`] before anything else.
//! Firecracker brings a jailer of its own: [`jailer`] lays out its files and keeps its output in the same way.
//! Nothing but pid, start time and boot id of the keeper leads back to the daemon: it may end at any time.

mod companion;
mod descriptors;
pub mod exit_record;
mod failure;
pub mod jailer;
mod keeper;
pub mod launcher;
mod privileges;
pub mod ring;
mod root;
pub mod runtime;
mod seccomp;
pub mod socket_path;
mod spawn;
pub mod spec;
mod sys;
mod word;

pub use companion::start_companion;
pub use spawn::{JailError, Launcher, spawn};
