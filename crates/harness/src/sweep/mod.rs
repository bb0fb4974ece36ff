//! Fault sweeps: every plan, with every effect failing and the daemon dying at every effect, once and twice.
//!
//! ```text
//! arrange (no faults) -> act (fault at effect i) -> next lives reconcile (fault at effect j) -> reconcile in peace
//!        |                                                                                          |
//!     picture before                 all or none: picture == before or picture == after     <-------+
//!                                    nothing open, nobody paused or frozen, the same again works at once
//! ```

mod case;
mod forms;
mod intent;
mod requests;
mod verdict;

pub use case::{Case, Pictures, Report, Trial};
pub use intent::Intent;
pub use verdict::judge;
