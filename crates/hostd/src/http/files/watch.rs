//! Changes as they happen, one line of JSON each.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use contract::file_stream::{FileChange, FileChangeEvent, FileQuery};
use contract::{FilePath, MachineId};
use guest::client::Watch;
use guest::proto::files::Change;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::failure::failed;
use super::operate::CALL;
use super::reach::Reached;
use super::stream::STALL;
use crate::http::answer::Answered;
use crate::http::api::Api;
use crate::http::decode::{Asked, At};

/// How long nothing need happen before a caller is told just that, so that either side notices when the other is gone.
const QUIET: Duration = Duration::from_secs(15);
/// Events that the caller has not read.
const EVENTS: usize = 64;

pub(in crate::http) async fn watch(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<FileQuery>,
) -> Answered {
    let path: FilePath = query.path.parse()?;
    let reached = api.reach_files(&id).await?;
    let watch = reached.client.watch_files(path.as_str(), CALL).await.map_err(failed)?;
    let (sender, events) = mpsc::channel(EVENTS);
    tokio::spawn(tell(watch, path, reached, sender));
    let lines = futures_util::stream::unfold(events, async |mut events| {
        let event: FileChangeEvent = events.recv().await?;
        let line = serde_json::to_vec(&event).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        });
        Some((line.map_err(io::Error::from), events))
    });
    let mut response = Body::from_stream(lines).into_response();
    let content_type = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

async fn tell(
    mut watch: Watch,
    top: FilePath,
    reached: Reached,
    sender: mpsc::Sender<FileChangeEvent>,
) {
    let _held = reached.held;
    let mut next = FileChangeEvent { change: FileChange::Watching, path: top.to_string() };
    loop {
        let is_last = next.change == FileChange::Ended;
        if !matches!(timeout(STALL, sender.send(next)).await, Ok(Ok(()))) || is_last {
            return;
        }
        let (change, path) = match watch.next(QUIET).await {
            Ok(Some(event)) => (to_change(event.change()), top.join(&event.path)),
            Ok(None) => (FileChange::Quiet, top.to_string()),
            Err(error) => {
                tracing::debug!(%error, "a watch ended");
                (FileChange::Ended, top.to_string())
            }
        };
        next = FileChangeEvent { change, path };
    }
}

fn to_change(change: Change) -> FileChange {
    match change {
        Change::Created => FileChange::Created,
        Change::Modified => FileChange::Modified,
        Change::Removed => FileChange::Removed,
        Change::Overflowed | Change::Unspecified => FileChange::Overflowed,
    }
}
