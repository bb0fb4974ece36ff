//! How we know: a fake host, fault sweeps, real daemons and real guests.
//!
//! - [`fake`] is a small world in memory and a fake of every port over it, honest enough to show what a crash leaves.
//! - [`sweep`] runs plans over it with every effect failing and every effect crashing.
//! - [`daemon`], [`machine`] and [`guest_image`] drive real `computerd` processes and real guests, on a [`storage`] of their
//!   own; [`store_server`] is a real object store on loopback; [`audit`] finds what is left behind.

pub mod audit;
pub mod bench;
pub mod daemon;
pub mod demo;
pub mod ends;
pub mod error;
pub mod fake;
pub mod filling;
pub mod guest_image;
pub mod line;
pub mod machine;
pub mod mortal;
pub mod number;
pub mod polled;
pub mod program;
pub mod storage;
pub mod store_server;
pub mod sweep;
pub mod wait;
