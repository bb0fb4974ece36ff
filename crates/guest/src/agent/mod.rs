//! The agent inside a guest: init or service, one gRPC server over whatever leads to the host.
//!
//! ```text
//!   virtio-serial port --framing--\
//!   vsock, Unix socket ------------> Connection -> gRPC server -> services -> Machine
//!                                                                   exec: sessions
//!   TCP port 49983 ---------------> connect: the same for clients that know nothing of this host
//!                                                                   freezer, identity, renew, clock, files
//!   PAM -> login -> webhook
//!   init: mounts, network, sshd, orphans, shutdown
//! ```
//! It runs on one thread beside the blocking pool. Everything it starts is in the guest's cgroup but its own helpers.

mod atomic_file;
mod cgroup;
mod clock;
mod connect;
mod exec;
mod file_systems;
mod files;
mod foreseen;
mod freezer;
mod helper;
mod hooks;
mod identity;
mod info;
mod init;
mod listen;
mod login;
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

pub use login::report as report_login;
pub use options::{Invocation, Options, OptionsError, Role, USAGE};
pub use start::{AgentError, run};
