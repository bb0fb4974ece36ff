//! Tar archives, in either direction.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use contract::file_stream::FileQuery;
use contract::{FilePath, MachineId};
use guest::proto::files::{Form, ReadOpen, WriteOpen};

use super::failure::failed;
use super::operate::CALL;
use super::stream;
use crate::http::answer::Answered;
use crate::http::api::Api;
use crate::http::decode::{Asked, At};

/// The media type that the document gives all that is no JSON.
const TAR: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What a directory holds, under its names in it; or one file. An error on the way breaks the connection: an archive that ends is whole.
pub(in crate::http) async fn read(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<FileQuery>,
) -> Answered {
    let path: FilePath = query.path.parse()?;
    let reached = api.reach_files(&id).await?;
    let form = Form::Tar.into();
    let open = ReadOpen { path: path.to_string(), form, ..ReadOpen::default() };
    let reader = reached.client.read_file(open, CALL).await.map_err(failed)?;
    let mut response = stream::body(reader, None, reached.held).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, TAR);
    Ok(response)
}

/// Each entry appears whole; what came before one that fails stays.
pub(in crate::http) async fn write(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<FileQuery>,
    request: Request,
) -> Answered {
    let path: FilePath = query.path.parse()?;
    let form = Form::Tar.into();
    let open = WriteOpen { path: path.to_string(), form, ..WriteOpen::default() };
    super::write::write(api, id, path, open, request).await
}
