//! What is answered when something did not go well: the one place where refusals, failures and their statuses meet.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use contract::error::PartialOutput;
use contract::operation::OPERATION_ID_HEADER;
use contract::{ErrorBody, ErrorCode, OperationId};
use engine::plan::Refusal;
use engine::port::{BeginError, Fault, PortError};
use engine::record::OperationError;
use engine::runner::StartError;

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// Programs decide on this.
    pub code: ErrorCode,
    /// People read this.
    pub reason: String,
    /// The operation, where one exists.
    pub operation: Option<OperationId>,
    /// What a command that ran out of time had written.
    pub partial: Option<PartialOutput>,
}

impl Failure {
    /// A failure without an operation.
    pub(super) fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), operation: None, partial: None }
    }

    /// The request cannot be read.
    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::Malformed, reason)
    }

    /// The same failure of this operation.
    #[must_use]
    pub(super) fn of(self, operation: &OperationId) -> Self {
        Self { operation: Some(operation.clone()), ..self }
    }

    /// An operation that did not commit.
    pub(super) fn operation(error: OperationError, operation: &OperationId) -> Self {
        Self::new(code_of(error.fault), error.reason).of(operation)
    }
}

/// The code of a failed effect.
pub(super) fn code_of(fault: Fault) -> ErrorCode {
    match fault {
        Fault::Internal => ErrorCode::Internal,
        Fault::Upstream => ErrorCode::Upstream,
        Fault::Refused => ErrorCode::Refused,
        Fault::Deadline => ErrorCode::Deadline,
        Fault::NoRoom => ErrorCode::NoRoom,
        Fault::Absent => ErrorCode::NotFound,
        Fault::Unavailable => ErrorCode::Unavailable,
        Fault::PauseExceeded => ErrorCode::PauseExceeded,
    }
}

impl From<Failure> for ErrorBody {
    fn from(failure: Failure) -> Self {
        Self {
            error: failure.reason,
            code: failure.code,
            operation_id: failure.operation,
            partial: failure.partial,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.reason)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::new(code_of(error.fault), error.chain())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Busy(busy) => Self::new(ErrorCode::Busy, busy.to_string()),
            StartError::Begin(BeginError::KeyTaken(holder)) => {
                Self::new(ErrorCode::InProgress, "the same request is under way").of(&holder)
            }
            StartError::Begin(BeginError::Store(error)) => error.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.code.status();
        if status.is_server_error() {
            tracing::warn!(code = %self.code, reason = self.reason, "answered a failure");
        }
        let retry_after = self.code.retry_after();
        let operation = self.operation.clone();
        let code = self.code;
        let mut response = (status, Json(ErrorBody::from(self))).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if code == ErrorCode::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(operation) = operation {
            headers.insert(OPERATION_ID_HEADER, operation_header(&operation));
        }
        response
    }
}

/// The value of the header in which mutations answer their operation.
pub(super) fn operation_header(operation: &OperationId) -> HeaderValue {
    HeaderValue::from_str(operation.as_str()).expect("an operation id is ASCII letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_the_status_that_the_contract_gives_it() {
        for (fault, status) in [
            (Fault::Internal, 500),
            (Fault::Upstream, 502),
            (Fault::Refused, 422),
            (Fault::Deadline, 504),
            (Fault::NoRoom, 507),
            (Fault::Absent, 404),
            (Fault::Unavailable, 503),
            (Fault::PauseExceeded, 409),
        ] {
            let failure = Failure::from(PortError::plain(fault, "try"));
            assert_eq!(failure.into_response().status(), status);
        }
    }

    #[test]
    fn an_operation_under_way_says_which_and_when_to_come_again() {
        let holder = engine::testing::operation(3);
        let error = StartError::Begin(BeginError::KeyTaken(holder.clone()));
        let response = Failure::from(error).into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[OPERATION_ID_HEADER], holder.as_str());
    }
}
