//! Errors as Connect answers them, <https://connectrpc.com/docs/protocol#error-codes>.

use http::StatusCode;
use serde::Serialize;

use crate::agent::exec::{Detached, StartError, WriteError};
use crate::agent::users::UserError;

/// The codes that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    Unimplemented,
    Internal,
    Unauthenticated,
}

impl Code {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// What went wrong: `{"code": .., "message": ..}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(super) struct ConnectError {
    pub(super) code: Code,
    pub(super) message: String,
}

impl ConnectError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> ConnectError {
        ConnectError { code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> ConnectError {
        ConnectError::new(Code::InvalidArgument, message)
    }
}

impl From<StartError> for ConnectError {
    fn from(error: StartError) -> ConnectError {
        let code = match &error {
            StartError::Invalid(_) | StartError::Directory(_) => Code::InvalidArgument,
            StartError::Taken => Code::AlreadyExists,
            StartError::Full => Code::ResourceExhausted,
            StartError::User(UserError::Unknown(_)) => Code::Unauthenticated,
            StartError::Spawn { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => Code::NotFound,
                std::io::ErrorKind::PermissionDenied => Code::PermissionDenied,
                _ => Code::Internal,
            },
            StartError::User(UserError::Read(_)) | StartError::Resources(_) => Code::Internal,
        };
        ConnectError::new(code, crate::agent::services::chain(&error))
    }
}

impl From<WriteError> for ConnectError {
    fn from(error: WriteError) -> ConnectError {
        ConnectError::new(Code::FailedPrecondition, error.to_string())
    }
}

impl From<Detached> for ConnectError {
    fn from(why: Detached) -> ConnectError {
        match why {
            Detached::Superseded => {
                ConnectError::new(Code::Aborted, "another client connected to this process")
            }
            Detached::Removed => ConnectError::new(Code::NotFound, "the process was removed"),
        }
    }
}
