//! What went wrong while a jail was set up, inside the launcher.

use std::io;

/// One step of the launcher that failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub(super) struct Failure {
    /// What was tried, and on what.
    pub(super) step: String,
    /// Why.
    pub(super) source: io::Error,
}

/// Names the step a result belongs to.
pub(super) trait During<T> {
    /// Turns an error into a [`Failure`] of `step`.
    fn during(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure { step: step(), source: error.into() })
    }
}

/// A refusal of the launcher's own, for what no system call would have refused.
pub(super) fn refuse(step: impl Into<String>, reason: &str) -> Failure {
    Failure { step: step.into(), source: io::Error::other(reason.to_owned()) }
}
