//! A Firecracker without a hypervisor, and a jailer that needs no `/dev/kvm`: programs that take the arguments of the real ones and show
//! what the daemon sees of them, so that all of this project but a guest's CPU is tried everywhere.
//!
//! ```text
//!  simulated-jailer ──▶ simulated-firecracker ── API socket: states, refusals and exits of the real one
//!   chroot, pid          │        │        └──── memory: pages, extents of diffs, a file mapped privately
//!   namespace, uid       │        └───────────── vCPU thread: the guest that polls counts in memory, on disk and on the serial port
//!                        └────────────────────── vsock socket: `CONNECT`, and behind it that guest or the real agent
//! ```
//! What it holds to is written in the suite `firecracker` of the crate `vmm`, which runs against it and against the real binaries alike.
//!
//! What it does not: run a kernel's instructions, move a network's packets (the interface of a machine must exist, and no more), answer a
//! guest's metadata requests, keep the agent's sessions through a snapshot (a restored agent begins anew), honour rate limits, CPU templates
//! and balloons (they are read and refused when they make no sense), or filter system calls. A guest has an agent
//! when its initial RAM disk is the text `simulated guest: computer-agent`: it is the agent of this workspace, built into the simulator, since a jail has no room for a
//! second program. Else it is the guest that polls. Either needs a kernel that is an ELF file.

mod agent;
mod answer;
mod api;
mod arguments;
mod configuration;
mod guest;
mod http;
pub mod jailer;
mod log;
mod machine;
mod memory;
mod metadata;
mod process;
mod snapshot;
mod vsock;

pub use process::firecracker;

/// The version that both programs say they are.
const VERSION: &str = "1.15.1";
/// What a Firecracker of flesh and blood does not say of itself.
const SIMULATED: &str = "simulated";
