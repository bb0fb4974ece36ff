//! Firecracker under its own jailer, unpatched.
//!
//! ```text
//!  boot      config file ──▶ jailer ──▶ Firecracker runs the guest at once
//!  restore   jailer ──▶ Firecracker ──▶ PUT /snapshot/load (memory mapped privately, read-only) ──▶ paused
//!  capture   PUT /snapshot/create into a tmpfs of the jail, while paused
//!  collect   that memory brought out of the jail, once the guest runs again
//! ```
//! The adapter keeps nothing in memory: whatever it needs of a run is derived from its [`Launch`](engine::port::Launch), so a new daemon
//! commands the Firecrackers of the old. Several versions stand side by side, since a snapshot can be loaded only by the binary that wrote it.

mod adapter;
pub mod api;
mod boot;
mod capture;
mod config;
mod error;
mod installation;
mod jail;
mod jail_root;
mod launch;
mod metadata;
mod run;
mod run_record;
mod version;

pub use crate::memory_file::merge;
pub use adapter::Firecracker;
pub use boot::{BootConfig, VSOCK_SOCKET};
pub use config::{
    Binaries, Deadlines, Devices, DiskCache, FirecrackerConfig, IoEngine, default_kernel_arguments,
};
pub use error::FirecrackerError;
pub use installation::{Installation, Installed};
pub use jail_root::{FoundSocket, JailRoot};
pub use run::Run;
pub use version::{Version, VersionError};
