//! The one thing a launcher says: who runs, or what failed. One line of JSON on its standard output, then it closes it.

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// No launcher says more than this.
pub(super) const MAXIMUM_BYTES: u64 = 16 * 1024;

/// What the launcher came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Word {
    /// The program runs.
    Started {
        /// The keeper's pid on the host.
        pid: u32,
        /// Its start time, read while it could not yet be reaped.
        start_time_ticks: u64,
    },
    /// Nothing runs.
    Failed {
        /// What was tried.
        step: String,
        /// Why it did not work, in words.
        reason: String,
        /// The errno, where a system call failed.
        os_error: Option<i32>,
    },
}

impl From<&Failure> for Word {
    fn from(failure: &Failure) -> Self {
        Self::Failed {
            step: failure.step.clone(),
            reason: failure.source.to_string(),
            os_error: failure.source.raw_os_error(),
        }
    }
}
