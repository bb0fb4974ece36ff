//! The bytes of one file, in either direction.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::file_stream::{FileQuery, WriteFileQuery};
use contract::{ErrorCode, FilePath, MachineId};
use guest::client::Client;
use guest::proto::files::{Form, Kind, ReadOpen, WriteOpen};

use super::change::checked;
use super::failure::failed;
use super::operate::CALL;
use super::reach::Held;
use super::stream;
use crate::http::answer::Answered;
use crate::http::api::Api;
use crate::http::decode::{Asked, At};
use crate::http::error::Failure;
use crate::http::range::{self, Wanted};

pub(in crate::http) async fn read(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<FileQuery>,
    headers: HeaderMap,
) -> Answered {
    let path: FilePath = query.path.parse()?;
    let reached = api.reach_files(&id).await?;
    let found = reached.client.stat_file(path.as_str(), CALL).await.map_err(failed)?;
    let absent = || Failure::new(ErrorCode::NotFound, format!("no file {path}"));
    let found = found.ok_or_else(absent)?;
    if found.kind() != Kind::File {
        return Err(Failure::new(ErrorCode::WrongState, format!("{path} is no file")));
    }
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let size = found.size_bytes;
    let mut response = match range::parse(asked, size) {
        Wanted::All => part(&reached.client, &path, 0, size, reached.held).await?,
        Wanted::Part { first, last } => {
            let length = last - first + 1;
            let mut response = part(&reached.client, &path, first, length, reached.held).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
            response
        }
        Wanted::Nothing => {
            let reason = format!("{path} has {size} bytes");
            let mut response = Failure::new(ErrorCode::RangeNotSatisfiable, reason).into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    Ok(response)
}

async fn part(
    client: &Client,
    path: &FilePath,
    offset: u64,
    length: u64,
    held: Held,
) -> Result<Response, Failure> {
    // No length is all of it, for the agent.
    let body = if length == 0 {
        Body::empty()
    } else {
        let open = ReadOpen { path: path.to_string(), form: Form::File.into(), offset, length };
        let reader = client.read_file(open, CALL).await.map_err(failed)?;
        stream::body(reader, Some(length), held)
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

pub(in crate::http) async fn write(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<WriteFileQuery>,
    request: Request,
) -> Answered {
    let path: FilePath = query.path.parse()?;
    let mode = checked(query.mode)?;
    let form = Form::File.into();
    let open = WriteOpen { path: path.to_string(), form, mode, ..WriteOpen::default() };
    super::write::write(api, id, path, open, request).await
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("numbers and words are ASCII");
    response.headers_mut().insert(name, value);
}
