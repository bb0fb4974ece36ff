//! QEMU's machine protocol over its Unix socket: one JSON object a line, a greeting, commands with ids, events in between.
//!
//! A [`Monitor`] is one connection, made for one call of the port and dropped after it: QEMU serves one at a time, a new daemon needs no
//! state of the old, and a connection that hung takes nothing with it. Every exchange has a deadline, lines and events have bounds.
//! Source: QEMU's `docs/interop/qmp-spec.rst` and the QAPI schema of 7.2.

mod commands;
mod connection;
mod error;
mod message;

pub use commands::{MigrationStatus, VmStatus};
pub use connection::Monitor;
pub use error::QmpError;
pub use message::{ErrorClass, Event};
