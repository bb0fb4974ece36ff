//! The API in process, over a real store and ports that do nothing.

mod artifacts;
mod by_host;
mod errors;
mod idempotency;
mod listeners;
mod machines;
mod published_ports;
mod stub;
