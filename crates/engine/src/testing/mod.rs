//! For tests, here and in the harness: small honest values, a clock that tests own, and what every [`crate::port::Journal`],
//! [`crate::port::Files`], [`crate::port::Chunks`] and [`crate::port::Guest`] must do.

pub mod chunks;
mod clock;
pub mod files;
pub mod guest;
pub mod journal;
mod journal_values;
mod values;

pub use clock::ManualClock;
pub use values::{block, operation, relays, run, slot};
