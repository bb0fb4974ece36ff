//! Real daemons and real guests, end to end. Every test ends with an audit: nothing of its hosts is left on this machine.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test does")]

mod chunked;
mod clients;
mod command_line;
mod deaths;
mod disks;
mod exec;
mod file_limits;
mod files;
mod filled;
mod forks;
mod full_disk;
mod hostile;
mod large_files;
mod life;
mod login;
mod mounts;
mod ports;
mod sessions;
mod snapshots;
mod support;
mod transfers;
