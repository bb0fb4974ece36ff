//! Machines under Firecracker through the whole daemon: real binaries, and guests that poll. Every test ends with an audit.
//!
//! `COMPUTER_FIRECRACKER` and `COMPUTER_JAILER` name the binaries, else they are looked for on PATH. They may be the simulator's, which needs no
//! `COMPUTER_FIRECRACKER_KVM`.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test does")]

mod deaths;
mod life;
mod protocols;
mod snapshots;
mod support;
