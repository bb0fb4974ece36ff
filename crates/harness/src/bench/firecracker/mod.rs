//! Machines under Firecracker, beside the bare `firecracker` and `jailer` doing the same.
//!
//! The guest is the polled one, which boots in milliseconds: what is measured is the daemon and Firecracker, not Linux. Two words on its
//! command line make it what a figure needs: `touch=<MiB>` writes memory before it counts, `idle` makes it halt, so that a
//! hundred of them leave the processors alone.

mod bare;
mod clones;
mod lives;
mod scene;
mod snapshots;

pub(super) use clones::{clone_time, daemon_kib};
pub(super) use lives::{create, stop};
pub(super) use scene::lacking;
pub(super) use snapshots::{pause, restore, restore_of_size, snapshot};
