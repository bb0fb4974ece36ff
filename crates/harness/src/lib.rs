//! How we know: a fake host, fault sweeps, real daemons and real guests.
//!
//! - [`fake`] is a small world in memory and a fake of every port over it, honest enough to show what a crash leaves.
//! - [`sweep`] runs plans over it with every effect failing and every effect crashing.

pub mod fake;
pub mod sweep;
