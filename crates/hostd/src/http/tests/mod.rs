//! The API in process, over a real store and ports that do nothing.

mod artifacts;
mod by_host;
mod errors;
mod exec;
mod files;
mod idempotency;
mod limits;
mod listeners;
mod machines;
mod mounts;
mod published_ports;
mod silent_agent;
mod stub;
mod stub_forms;
mod stub_guest;
mod volumes;
