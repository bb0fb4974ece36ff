//! The agent inside a guest: init or service, one gRPC server over whatever leads to the host.
//!
//! ```text
//!   virtio-serial port --framing--\
//!   vsock, Unix socket ------------> Connection -> gRPC server -> services -> Machine
//!                                                                   exec: sessions
//!                                                                   freezer, identity, renew, clock, files
//!   init: mounts, network, sshd, orphans, shutdown
//! ```
//! It runs on one thread beside the blocking pool. Everything it starts is in the guest's cgroup but its own helpers.

mod atomic_file;
mod cgroup;
mod clock;
mod exec;
mod files;
mod freezer;
mod helper;
mod hooks;
mod identity;
mod info;
mod init;
mod listen;
mod machine;
mod mounts;
mod nonblocking;
mod options;
mod places;
mod reaper;
mod renew;
mod serve;
mod services;
mod shutdown;
mod ssh_keys;
mod start;
mod users;

pub use options::{Invocation, Options, OptionsError, Role, USAGE};
pub use start::{AgentError, run};
