//! How a guest runs: QEMU and Firecracker, process identity and the jail; one conformance suite for all.

pub mod cgroup;
pub mod conformance;
pub mod firecracker;
pub mod host;
pub mod jail;
mod memory_file;
pub mod process;
pub mod qemu;
mod sys;
