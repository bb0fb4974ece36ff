//! What a server tells its supervisor: one JSON object a line.

use serde::{Deserialize, Serialize};

/// The longest line read.
pub const MAXIMUM_BYTES: u64 = 64 * 1024;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "word", deny_unknown_fields)]
pub enum Word {
    /// It answers the kernel.
    Serving,
    /// How far it is.
    Progress {
        /// Bytes still to be fetched.
        missing_bytes: u64,
    },
    /// A chunk that a guest waits for cannot be had.
    Lost {
        /// Which, and why.
        reason: String,
    },
}
