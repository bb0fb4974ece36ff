//! One operation on files: decode, do, answer.

use std::time::Duration;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::file::{FileOperationName, FileOperationRequest, FileOperationResponse};
use contract::{ErrorCode, FilePath, MachineId};
use guest::client::Client;
use tokio::time::timeout;

use super::once::answer_of;
use super::{change, look, patch};
use crate::http::answer::{Answered, on_a_task};
use crate::http::api::Api;
use crate::http::decode::{At, Sent};
use crate::http::error::Failure;

/// For a whole operation: the longest reads and writes what fits into one request.
const OPERATION: Duration = Duration::from_secs(120);
/// For one call to the agent.
pub(super) const CALL: Duration = Duration::from_secs(60);

/// An operation under way.
pub(super) struct Operating<'a> {
    pub(super) client: &'a Client,
    pub(super) path: FilePath,
    /// The longest content that is answered or patched.
    pub(super) limit_bytes: u64,
}

pub(in crate::http) async fn operate(
    State(api): State<Api>,
    At(id): At<MachineId>,
    sent: Sent<FileOperationRequest>,
) -> Answered {
    let Sent { body: request, origin } = sent;
    let path: FilePath = request.path.parse()?;
    let Some(key) = origin.key.clone().filter(|_| request.operation.is_change()) else {
        let response = respond(&api, &id, path, request).await?;
        return api.changed(response);
    };
    // A change that is made is recorded for its key, whether its caller stays or not.
    on_a_task("change files", async move {
        let under_way = api.enter_change(&id, &key, Some(origin.sha256.clone()))?;
        if let Some(outcome) = api.repeated(&origin).await? {
            return answer_of(outcome);
        }
        let response = respond(&api, &id, path, request).await?;
        api.changed_once(under_way, id, origin, response).await
    })
    .await
}

async fn respond(
    api: &Api,
    id: &MachineId,
    path: FilePath,
    request: FileOperationRequest,
) -> Result<FileOperationResponse, Failure> {
    let reached = api.reach_files(id).await?;
    let limit_bytes = api.limits.file_bytes as u64;
    let operating = Operating { client: &reached.client, path, limit_bytes };
    let response = timeout(OPERATION, run(&operating, request))
        .await
        .map_err(|_elapsed| Failure::new(ErrorCode::Deadline, "the guest took too long"))??;
    drop(reached.held);
    Ok(response)
}

async fn run(
    operating: &Operating<'_>,
    request: FileOperationRequest,
) -> Result<FileOperationResponse, Failure> {
    match request.operation {
        FileOperationName::ReadText => look::read_text(operating).await,
        FileOperationName::ReadBytes => look::read_bytes(operating).await,
        FileOperationName::ReadRange => look::read_range(operating, &request).await,
        FileOperationName::List => look::list(operating, request.recursive).await,
        FileOperationName::Stat => look::stat(operating).await,
        FileOperationName::Exists => look::exists(operating).await,
        FileOperationName::Grep => look::grep(operating, request).await,
        FileOperationName::WriteText => {
            let content = request.content.unwrap_or_default();
            change::write(operating, content.into(), request.mode).await
        }
        FileOperationName::WriteBytes => {
            let content = decoded(request.content_base64.as_deref())?;
            change::write(operating, content, request.mode).await
        }
        FileOperationName::WriteRange => {
            let content = match (&request.content_base64, request.content) {
                (None, Some(text)) => text.into_bytes(),
                (encoded, _) => decoded(encoded.as_deref())?,
            };
            let offset = request.offset.unwrap_or(0);
            change::write_range(operating, content, offset, request.mode).await
        }
        FileOperationName::Mkdir => change::make_directory(operating, request.mode).await,
        FileOperationName::Remove => change::remove(operating, request.recursive).await,
        FileOperationName::Move => {
            let to = request.to.ok_or_else(|| Failure::malformed("move needs a `to`"))?;
            change::rename(operating, &to.parse()?).await
        }
        FileOperationName::Patch => patch::patch(operating, &request).await,
    }
}

fn decoded(encoded: Option<&str>) -> Result<Vec<u8>, Failure> {
    STANDARD
        .decode(encoded.unwrap_or_default())
        .map_err(|error| Failure::malformed(format!("content_base64: {error}")))
}
