//! Commands in guests: at once and answered, or over a WebSocket while their streams flow.

mod agents;
mod blocking;
mod failure;
mod input;
mod relay;
mod sessions;
mod stream;

pub use agents::Agents;
pub(crate) use blocking::ANSWER_GRACE;
pub(super) use blocking::exec;
pub(crate) use failure::is_the_callers;
pub(super) use relay::open as open_relay;
pub(super) use sessions::{end, list};
pub(super) use stream::exec_stream;
