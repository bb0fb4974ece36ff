//! What takes how much room beneath the root, by allocated blocks, blocks that files share counted once.
//!
//! ```text
//!  walk: every file, in the order in which shared blocks are charged
//!    -> extents: where its blocks lie, asked of the kernel only when the file has changed, and within a budget of time
//!    -> charge: what of them nobody before it has
//! ```
//! A pass looks at each file once (some microseconds) and asks for the extents of those that changed since the pass before,
//! for 50 ms at most; the rest is asked for by the passes that follow. An answer is given again for
//! one second. Nothing happens while nobody asks.

mod charge;
mod extents;
mod meter;
mod sys;
mod walk;

pub use meter::{Meter, Usage};
pub use walk::Owner;
