//! The daemon: HTTP, SQLite, Linux networking, configuration and wiring.

pub mod clock;
pub mod config;
pub mod http;
pub mod mint;
pub mod network;
pub mod root;
pub mod store;
