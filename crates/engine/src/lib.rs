//! What the daemon decides.
//!
//! A request becomes a [`plan::Plan`], a plan runs as a saga, a record comes back; nothing else changes the host.
//!
//! ```text
//! request + Facts --plan--> Plan --begin--> journal
//!                            prepare* -- commit -- finish* -- close      all of it
//!                                x  -> undo* (reverse) -- close          none of it
//! ```
//!
//! - [`plan`] decides: pure functions, one file per resource.
//! - [`step`] is what plans are made of; [`apply`] makes a step true, [`undo`] takes it back.
//! - [`saga`] runs a plan and settles one that was cut; [`runner`] owns tasks and claims.
//! - `relay` opens what leads into guests; [`ready`] waits for them; [`reconcile`] compares what is recorded with what is.
//! - [`port`] is all that the engine knows of the outside. There is no file, socket, clock or HTTP here.

pub mod apply;
pub mod claim;
mod disk;
pub mod host;
pub mod layout;
pub mod mounts;
mod pause;
pub mod phase;
pub mod plan;
pub mod port;
pub mod ready;
pub mod reconcile;
pub mod record;
mod relay;
pub mod runner;
pub mod saga;
pub mod step;
pub mod testing;
pub mod undo;
pub mod watch;
