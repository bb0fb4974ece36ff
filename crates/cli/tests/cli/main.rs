//! The program itself, against a daemon and an object store of these tests' own making.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod copy;
mod daemon;
mod disks;
mod exec;
mod machines;
mod object_store;
mod ports;
mod snapshots;
