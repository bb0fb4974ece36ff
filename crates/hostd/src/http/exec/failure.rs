//! What an agent's error is to a caller.

use contract::ErrorCode;
use guest::client::ClientError;

use crate::http::error::Failure;

/// `tonic::Code` as far as the agent answers it, by number, <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const OUT_OF_RANGE: i32 = 11;
}

/// The agent refused what the caller asked for: no such user, program or directory, and the like.
pub(crate) fn is_the_callers(error: &ClientError) -> bool {
    let refusals =
        [code::NOT_FOUND, code::INVALID_ARGUMENT, code::PERMISSION_DENIED, code::OUT_OF_RANGE];
    error.code().map(i32::from).is_some_and(|code| refusals.contains(&code))
}

/// The agent knows nothing of this name.
pub(super) fn is_absent(error: &ClientError) -> bool {
    error.code().map(i32::from) == Some(code::NOT_FOUND)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Deadline { .. } => ErrorCode::Deadline,
            ClientError::Connect { .. }
            | ClientError::Hello { .. }
            | ClientError::Http2 { .. }
            | ClientError::Broken { .. }
            | ClientError::Version { .. }
            | ClientError::Answer { .. } => ErrorCode::Unavailable,
            ClientError::Refused { code, .. } => match i32::from(*code) {
                code::NOT_FOUND
                | code::INVALID_ARGUMENT
                | code::PERMISSION_DENIED
                | code::OUT_OF_RANGE => ErrorCode::Refused,
                code::ALREADY_EXISTS => ErrorCode::Exists,
                code::FAILED_PRECONDITION => ErrorCode::WrongState,
                // Somebody else took the session over.
                code::ABORTED => ErrorCode::Busy,
                code::RESOURCE_EXHAUSTED => ErrorCode::TooManyRequests,
                _ => ErrorCode::Internal,
            },
        };
        Self::new(code, engine::port::PortError::internal("speak to the agent", error).chain())
    }
}
