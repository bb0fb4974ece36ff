//! What an agent's error about files is to a caller.

use contract::ErrorCode;
use contract::file_path::FilePathError;
use engine::port::PortError;
use guest::client::ClientError;

use crate::http::error::Failure;

/// `tonic::Code` as `proto/files.proto` uses it, by number, <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const UNIMPLEMENTED: i32 = 12;
}

/// A guest answers whatever it likes, so nothing that it says counts as a mistake of this host.
pub(super) fn failed(error: ClientError) -> Failure {
    let code = match &error {
        ClientError::Deadline { .. } => ErrorCode::Deadline,
        ClientError::Connect { .. }
        | ClientError::Hello { .. }
        | ClientError::Http2 { .. }
        | ClientError::Broken { .. }
        | ClientError::Version { .. }
        | ClientError::Answer { .. } => ErrorCode::Unavailable,
        ClientError::Refused { code, .. } => match i32::from(*code) {
            code::NOT_FOUND => ErrorCode::NotFound,
            code::ALREADY_EXISTS => ErrorCode::Exists,
            code::INVALID_ARGUMENT => ErrorCode::Refused,
            code::FAILED_PRECONDITION => ErrorCode::WrongState,
            code::ABORTED => ErrorCode::VersionMismatch,
            code::RESOURCE_EXHAUSTED => ErrorCode::NoRoom,
            // An agent of an older image, which has no files.
            code::UNIMPLEMENTED => ErrorCode::NoAgent,
            _ => ErrorCode::Unavailable,
        },
    };
    Failure::new(code, PortError::internal("work on files of the guest", error).chain())
}

impl From<FilePathError> for Failure {
    fn from(error: FilePathError) -> Self {
        Self::new(ErrorCode::Refused, error.to_string())
    }
}

/// Well formed, and refused.
pub(super) fn refused(reason: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::Refused, reason)
}
