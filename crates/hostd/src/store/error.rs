//! Why the store failed.

use camino::Utf8PathBuf;
use engine::plan::WriteError;
use engine::port::{Fault, PortError};

/// A failed use of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be made or its mode could not be set.
    #[error("make the store {path}")]
    Create {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("{action}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file was written by a newer daemon.
    #[error("the store has schema {found}, this daemon knows {known}: use the newer daemon")]
    Newer {
        /// What the file says.
        found: u32,
        /// The last one we know.
        known: u32,
    },
    /// A row is not what was written.
    #[error("read row {id} of {table}")]
    Row {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("encode a record")]
    Encode(#[source] serde_json::Error),
    /// The records do not allow the change.
    #[error("work out the rows of a change")]
    Change(#[source] WriteError),
    /// The operation is not in the journal.
    #[error("operation {0} is not in the journal")]
    NoOperation(String),
    /// The thread of the store is gone.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Names the action of a SQLite call.
    pub(super) fn database(action: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Database { action, source }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Database { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                Fault::NoRoom
            }
            _ => Fault::Internal,
        }
    }

    /// The error as the port returns it.
    pub(super) fn into_port(self, action: impl Into<String>) -> PortError {
        PortError { action: action.into(), fault: self.fault(), source: Some(self.into()) }
    }
}
