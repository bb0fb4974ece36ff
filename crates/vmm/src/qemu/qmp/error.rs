//! Why an exchange with QEMU's monitor failed.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::message::ErrorClass;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// Nobody listens.
    #[error("connect to the monitor {socket}")]
    Connect {
        /// The socket.
        socket: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or QEMU closed it.
    #[error("talk to the monitor during {command}")]
    Broken {
        /// The command, or `greeting`.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{command}: no answer from the monitor within {} ms", deadline.as_millis())]
    Silent {
        /// The command, or what was waited for.
        command: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// What came is no QMP.
    #[error("{command}: the monitor sent what is no QMP")]
    Malformed {
        /// The command, or `greeting`.
        command: String,
        /// Why.
        source: serde_json::Error,
    },
    /// QEMU sent a line beyond the bound.
    #[error("{command}: the monitor sent a line of more than {limit} bytes")]
    TooLong {
        /// The command, or `greeting`.
        command: String,
        /// The bound.
        limit: usize,
    },
    /// QEMU refused the command.
    #[error("{command}: {description}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's class of error.
        class: ErrorClass,
        /// QEMU's words, for people only.
        description: String,
    },
    /// A migration ended otherwise than completed.
    #[error("migration ended as {status:?}: {description}")]
    Migration {
        /// How it ended.
        status: super::MigrationStatus,
        /// QEMU's words, for people only.
        description: String,
    },
}
