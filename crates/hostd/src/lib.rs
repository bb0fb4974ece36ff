//! The daemon: HTTP, SQLite, Linux networking, configuration and wiring.

pub mod adapters;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod farewell;
pub mod file_uses;
pub mod http;
pub mod logging;
pub mod maintenance;
pub mod mint;
pub mod mount_keeper;
pub mod network;
pub mod program;
pub mod room;
pub mod root;
pub mod storage;
pub mod store;
pub mod vmms;
pub mod wiring;
