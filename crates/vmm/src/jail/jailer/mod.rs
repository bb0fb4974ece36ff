//! A jail that a program of its own builds: Firecracker's stock jailer.
//!
//! ```text
//!  launcher                    keeper                          jailer                 Firecracker
//!  read the spec (stdin)
//!  enter the network
//!  namespace, look for
//!  the tap, fork ────────────▶ lay out the chroot in a tmpfs
//!                              that only this mount namespace
//!                              sees, start ──────────────────▶ chroot, new pid
//!                                                              namespace, uid ──────▶ runs
//!                              adopt it, leave the host's  ◀── exit
//!  word (stdout), exit ◀────── root, drop every privilege,
//!                              keep its console and log,
//!                              record its end
//! ```
//! Nothing of it is seen from the host but through `/proc/<pid>/root`, and all of it goes with its processes.

mod keep;
mod layout;
mod spec;

pub(super) use keep::keep;
pub use spec::{JailerSpec, Text};
