//! Bodies of answers and of requests with one message.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::error::{Code, ConnectError};
use crate::limits;

/// How long a client may take to send one message.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Frames made but not taken by the connection yet.
const PENDING_FRAMES: usize = 2;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A whole body.
pub(super) fn whole(
    status: StatusCode,
    content_type: &'static str,
    data: impl Into<Bytes>,
) -> Response<Body> {
    let body = Full::new(data.into()).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error of a call with one answer, or of one that could not be understood as a call.
pub(super) fn failed(error: &ConnectError) -> Response<Body> {
    let text = serde_json::json!(error).to_string();
    whole(error.code.status(), "application/json", text)
}

/// A body that is written piece by piece.
pub(super) fn streamed(content_type: &'static str) -> (mpsc::Sender<Bytes>, Response<Body>) {
    let (sender, pieces) = mpsc::channel(PENDING_FRAMES);
    let frames = ReceiverStream::new(pieces).map(|piece| Ok(Frame::data(piece)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    (sender, response)
}

/// The body of a request with one message.
pub(super) async fn read(body: Incoming) -> Result<Bytes, ConnectError> {
    let reading = Limited::new(body, limits::MESSAGE_BYTES).collect();
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let reason = format!("a message has at most {} bytes", limits::MESSAGE_BYTES);
            Err(ConnectError::new(Code::ResourceExhausted, reason))
        }
        Ok(Err(error)) => Err(ConnectError::invalid(error.to_string())),
        Err(_elapsed) => {
            Err(ConnectError::new(Code::DeadlineExceeded, "the message did not come in time"))
        }
    }
}
