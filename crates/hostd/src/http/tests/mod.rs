//! The API in process, over a real store and ports that do nothing.

mod artifacts;
mod by_host;
mod errors;
mod exec;
mod files;
mod idempotency;
mod listeners;
mod machines;
mod mounts;
mod published_ports;
mod stub;
mod stub_forms;
mod stub_guest;
mod volumes;
