//! Commands in guests: at once and answered, or over a WebSocket while their streams flow.

mod agents;
mod blocking;
mod failure;
mod progress;
mod stream;

pub use agents::Agents;
pub(super) use blocking::exec;
pub(super) use progress::Progress;
pub(super) use stream::exec_stream;
