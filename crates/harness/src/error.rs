//! What can go wrong while the harness prepares or drives real hosts.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;
use contract::client::ClientError;

/// Why the harness could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// Something of the machine.
    #[error("{action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// A tool failed.
    #[error("{command} ended with {status}: {output}")]
    Tool {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        output: String,
    },
    /// A program of the workspace is not built.
    #[error("{0} is not built: run `make build`")]
    NotBuilt(Utf8PathBuf),
    /// The daemon refused or failed.
    #[error("ask the daemon")]
    Daemon(#[from] ClientError),
    /// The daemon ended when it should serve.
    #[error("computerd ended; its log ends with:\n{0}")]
    DaemonEnded(String),
    /// Something did not happen in time.
    #[error("{what} did not happen within {deadline:?}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        deadline: Duration,
    },
    /// The object store of the tests.
    #[error("{action}: {reason}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// A value that is not what it should be.
    #[error("{what}: {reason}")]
    Value {
        /// Which.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl HarnessError {
    /// For `map_err` on what the system does.
    pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }

    /// A value that does not read.
    pub fn value(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Value { what: what.into(), reason: reason.to_string() }
    }

    /// The whole chain in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }
}
