//! The daemon: HTTP, SQLite, Linux networking, configuration and wiring.

pub mod network;
pub mod store;
