//! What became of a command.

use serde::{Deserialize, Serialize};

/// What a command wrote and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOutcome {
    /// How it ended, 128 plus the signal when a signal ended it; absent when it ran out of time.
    pub exit_code: Option<i32>,
    /// The beginning of its standard output, as text.
    pub stdout: String,
    /// The same of its standard error.
    pub stderr: String,
    /// Whether it wrote more than that.
    pub is_truncated: bool,
    /// How long it ran.
    pub duration_ms: u64,
}
