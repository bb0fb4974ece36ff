//! Why a request is not planned. The caller can mend it; the HTTP mapping is one `match` on the code.

use contract::ErrorCode;

/// A request that is refused, with the code that callers decide on and words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// Words.
    pub reason: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}
