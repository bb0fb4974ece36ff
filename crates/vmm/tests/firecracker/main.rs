//! Firecracker for real: the stock binaries under their jailer, with a guest that polls.
//!
//! `COMPUTER_FIRECRACKER` and `COMPUTER_JAILER` name the binaries, else they are looked for on PATH; `COMPUTER_FIRECRACKER_VERSIONS` names a
//! directory of further versions. Where they are absent the tests say so and pass.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod adoption;
mod agent;
mod conformance;
mod devices;
mod isolation;
mod kernels;
#[path = "../support/process_facts.rs"]
mod process_facts;
mod snapshots;
mod support;
mod trouble;
mod versions;
