//! Successful answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::OperationId;
use contract::operation::OPERATION_ID_HEADER;
use serde::Serialize;

use super::error::{Failure, operation_header};

/// What a handler comes to.
pub(super) type Answered = Result<Response, Failure>;

/// JSON with this status.
pub(super) fn json(status: StatusCode, body: impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// The answer to a mutation, which says its operation.
pub(super) fn of_operation(operation: &OperationId, mut response: Response) -> Response {
    response.headers_mut().insert(OPERATION_ID_HEADER, operation_header(operation));
    response
}
