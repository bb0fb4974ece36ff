//! The bytes of an artifact, streamed from its sealed file.

use std::io::SeekFrom;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camino::Utf8PathBuf;
use contract::artifact::ArtifactId;
use contract::{ErrorCode, SnapshotId};
use engine::port::PortError;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::answer::Answered;
use super::api::Api;
use super::decode::At;
use super::error::Failure;
use super::range::{self, Wanted};

/// What one stream holds in memory.
const BUFFER_BYTES: usize = 256 << 10;

pub(super) async fn read(
    State(api): State<Api>,
    At((snapshot, artifact)): At<(SnapshotId, ArtifactId)>,
    headers: HeaderMap,
) -> Answered {
    let record = api.snapshot(&snapshot).await?;
    let sealed = record.artifacts.iter().find(|sealed| sealed.artifact == artifact);
    let sealed = sealed.ok_or_else(|| {
        Failure::new(ErrorCode::NotFound, format!("snapshot {snapshot} has no artifact {artifact}"))
    })?;
    let path = api.host().settings.layout.snapshot(&snapshot).join(artifact.file_name());
    let (file, size) = open(&path).await?;
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let mut response = match range::parse(asked, size) {
        Wanted::All => part(file, 0, size).await?,
        Wanted::Part { first, last } => {
            let mut response = part(file, first, last - first + 1).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
            response
        }
        Wanted::Nothing => {
            let reason = format!("the artifact has {size} bytes");
            let mut response = Failure::new(ErrorCode::RangeNotSatisfiable, reason).into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    let disposition = format!("attachment; filename=\"{}\"", artifact.file_name());
    set(&mut response, header::CONTENT_DISPOSITION, &disposition);
    if let Some(sum) = &sealed.sha256 {
        set(&mut response, header::ETAG, &format!("\"{sum}\""));
    }
    Ok(response)
}

async fn open(path: &Utf8PathBuf) -> Result<(File, u64), PortError> {
    let failed = |source| PortError::io(format!("open {path}"), source);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file =
        OpenOptions::new().read(true).custom_flags(no_follow).open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    Ok((file, size))
}

async fn part(mut file: File, first: u64, length: u64) -> Result<Response, PortError> {
    if first > 0 {
        let sought = file.seek(SeekFrom::Start(first)).await;
        sought.map_err(|source| PortError::io("seek in an artifact", source))?;
    }
    let stream = ReaderStream::with_capacity(file.take(length), BUFFER_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    let value =
        HeaderValue::from_str(value).expect("numbers, digests and names of artifacts are ASCII");
    response.headers_mut().insert(name, value);
}
