//! From a request to its call.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::{Body, failed, read, streamed, whole};
use super::codec::{Codec, Shape, refuse_compression};
use super::envelope::{self, Messages};
use super::error::{Code, ConnectError};
use super::stream::Telling;
use super::{calls, input, stream};
use crate::agent::machine::Machine;

const SERVICE: &str = "/process.Process/";

/// Answers a request, whatever it is.
pub(super) async fn answer(machine: Arc<Machine>, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::GET && request.uri().path() == "/health" {
        return whole(StatusCode::NO_CONTENT, "text/plain", Bytes::new());
    }
    let is_http_1 = request.version() < Version::HTTP_2;
    let mut response = call(machine, request).await.unwrap_or_else(|error| failed(&error));
    if is_http_1 && !response.status().is_success() {
        // The request may not have been read: the connection ends, and who reuses it at that instant would not know why.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn call(
    machine: Arc<Machine>,
    request: Request<Incoming>,
) -> Result<Response<Body>, ConnectError> {
    machine.exec_access.check(request.headers())?;
    let unknown = || ConnectError::new(Code::Unimplemented, "no such call");
    let path = request.uri().path().to_owned();
    let name = path.strip_prefix(SERVICE).ok_or_else(unknown)?;
    if request.method() != Method::POST {
        return Err(unknown());
    }
    refuse_compression(request.headers())?;
    let shape = match name {
        "Start" | "Connect" | "StreamInput" => Shape::Stream,
        "List" | "Update" | "SendInput" | "SendSignal" | "CloseStdin" => Shape::Unary,
        _ => return Err(unknown()),
    };
    let Some(codec) = Codec::of(request.headers(), shape) else {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(whole(status, "text/plain", "Connect RPC, JSON or Protocol Buffers"));
    };
    if shape == Shape::Stream {
        return Ok(stream_call(machine, name, codec, request).await);
    }
    let bytes = read(request.into_body()).await?;
    match name {
        "List" => encoded(codec, &calls::list(&machine)),
        "Update" => encoded(codec, &calls::update(&machine, codec.decode(bytes)?)?),
        "SendInput" => encoded(codec, &calls::send_input(&machine, codec.decode(bytes)?).await?),
        "SendSignal" => encoded(codec, &calls::send_signal(&machine, codec.decode(bytes)?)?),
        _ => encoded(codec, &calls::close_stdin(&machine, codec.decode(bytes)?)?),
    }
}

fn encoded(
    codec: Codec,
    answer: &(impl Message + Serialize),
) -> Result<Response<Body>, ConnectError> {
    Ok(whole(StatusCode::OK, codec.content_type(Shape::Unary), codec.encode(answer)?))
}

/// Errors of streams come at their end; the status is 200 in any case.
async fn stream_call(
    machine: Arc<Machine>,
    name: &str,
    codec: Codec,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let messages = Messages::of(body);
    let content_type = codec.content_type(Shape::Stream);
    if name == "StreamInput" {
        let taken = input::stream_input(&machine, codec, messages).await;
        let answer = taken.and_then(|answer| codec.encode(&answer));
        let body = match answer {
            Ok(answer) => [envelope::message(&answer), envelope::end(None)].concat(),
            Err(error) => envelope::end(Some(&error)).into(),
        };
        return whole(StatusCode::OK, content_type, body);
    }
    let telling: Result<Telling, ConnectError> = async {
        if name == "Start" {
            stream::start(&machine, only(codec, messages).await?, &parts.headers).await
        } else {
            stream::connect(&machine, only(codec, messages).await?, &parts.headers)
        }
    }
    .await;
    match telling {
        Ok(telling) => {
            let (sender, response) = streamed(content_type);
            tokio::spawn(telling.tell(codec, sender));
            response
        }
        Err(error) => whole(StatusCode::OK, content_type, envelope::end(Some(&error))),
    }
}

/// The one message of a call that answers many.
async fn only<T>(codec: Codec, mut messages: Messages) -> Result<T, ConnectError>
where
    T: Message + Default + DeserializeOwned,
{
    let message = messages.next().await?;
    codec.decode(message.ok_or_else(|| ConnectError::invalid("there is no message"))?)
}
