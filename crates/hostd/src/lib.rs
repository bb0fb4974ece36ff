//! The daemon: HTTP, SQLite, Linux networking, configuration and wiring.
