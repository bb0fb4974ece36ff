//! Whole plans, by value: what a request becomes, before anything happens.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test does")]

mod chunked;
mod facts;
mod files;
mod filled;
mod forks;
mod machines;
mod mounts;
mod ports;
mod refusals;
mod resizes;
mod restores;
mod snapshots;
mod uploads;
mod volumes;
