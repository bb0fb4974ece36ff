//! Successful answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::operation::OPERATION_ID_HEADER;
use contract::{ErrorCode, OperationId};
use serde::Serialize;

use super::error::{Failure, operation_header};

/// What a handler comes to.
pub(super) type Answered = Result<Response, Failure>;

/// Does it on a task of its own: a caller who leaves cuts nothing in half.
pub(super) async fn on_a_task(
    what: &'static str,
    doing: impl Future<Output = Answered> + Send + 'static,
) -> Answered {
    let ended_badly = |error| Failure::new(ErrorCode::Internal, format!("{what}: {error}"));
    tokio::spawn(doing).await.map_err(ended_badly)?
}

/// JSON with this status.
pub(super) fn json(status: StatusCode, body: impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// The answer to a mutation, which says its operation.
pub(super) fn of_operation(operation: &OperationId, mut response: Response) -> Response {
    response.headers_mut().insert(OPERATION_ID_HEADER, operation_header(operation));
    response
}
