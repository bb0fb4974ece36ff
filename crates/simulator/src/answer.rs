//! What a request comes to.

use std::io;

use serde_json::{Value, json};

/// What is answered when all went well.
#[derive(Debug)]
pub(super) enum Answer {
    /// 204.
    Done,
    /// 200 with a body.
    Value(Value),
    /// 204, and then the process ends with status 0.
    DoneAndEnd,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 400, and the process goes on.
    Goes(String),
    /// 400, and then the process ends with status 1.
    Ends(String),
}

impl Refusal {
    /// One that leaves the process as it was.
    pub(super) fn goes(reason: impl Into<String>) -> Self {
        Self::Goes(reason.into())
    }

    /// As a body.
    pub(super) fn body(&self) -> Value {
        let (Self::Goes(reason) | Self::Ends(reason)) = self;
        json!({ "fault_message": reason })
    }
}

/// For `map_err`: what was done to a file that did not go well.
pub(super) fn with(action: impl Into<String>) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{}: {error}", action.into())
}
