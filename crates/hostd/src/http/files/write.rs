//! A file or an archive from a caller into a guest, with an idempotency key or without.

use axum::body::Body;
use axum::extract::Request;
use contract::file_stream::FileWrittenAnswer;
use contract::{FilePath, MachineId};
use futures_util::StreamExt;
use guest::proto::files::{Form, WriteDone, WriteOpen};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::failure::failed;
use super::look::to_stat;
use super::once::answer_of;
use super::operate::CALL;
use super::stream::{self, STALL};
use crate::http::answer::{Answered, on_a_task};
use crate::http::api::Api;
use crate::http::decode::Origin;
use crate::http::error::Failure;

/// Writes what is sent, unless this very request was answered before.
pub(super) async fn write(
    api: Api,
    id: MachineId,
    path: FilePath,
    open: WriteOpen,
    request: Request,
) -> Answered {
    let (parts, body) = request.into_parts();
    let key = Origin::of(&parts.method, &parts.uri, &parts.headers, &[])?.key;
    let Some(key) = key else {
        let answer = send(&api, &id, &path, open, body, &mut None).await?;
        return api.changed(answer);
    };
    // A change that is made is recorded for its key, whether its caller stays or not.
    on_a_task("change files", async move {
        let under_way = api.enter_change(&id, &key, None)?;
        let mut sum = Some(Sha256::new());
        let origin = |sum: Option<Sha256>| {
            let sum = sum.map(|sum| sum.finalize().to_vec()).unwrap_or_default();
            let said = [parts.uri.query().unwrap_or_default().as_bytes(), &sum].concat();
            Origin::of(&parts.method, &parts.uri, &parts.headers, &said)
        };
        let known = api.host().journal.operation_by_key(&key).await?;
        if known.is_some_and(|known| known.committed.is_some()) {
            read_over(body, &mut sum).await?;
            if let Some(outcome) = api.repeated(&origin(sum)?).await? {
                return answer_of(outcome);
            }
            return Err(Failure::malformed("the key is of a request that has just been forgotten"));
        }
        let answer = send(&api, &id, &path, open, body, &mut sum).await?;
        api.changed_once(under_way, id, origin(sum)?, answer).await
    })
    .await
}

async fn send(
    api: &Api,
    id: &MachineId,
    path: &FilePath,
    open: WriteOpen,
    body: Body,
    sum: &mut Option<Sha256>,
) -> Result<FileWrittenAnswer, Failure> {
    let is_archive = open.form() == Form::Tar;
    let reached = api.reach_files(id).await?;
    let writer = reached.client.write_file(open, CALL).await.map_err(failed)?;
    let WriteDone { stat, entries } = stream::take(body, writer, sum).await?;
    drop(reached.held);
    let stat = to_stat(path.as_str(), &stat.unwrap_or_default());
    Ok(FileWrittenAnswer { stat, entries: is_archive.then_some(entries) })
}

/// Takes a body only to know which one it is.
async fn read_over(body: Body, sum: &mut Option<Sha256>) -> Result<(), Failure> {
    let mut pieces = body.into_data_stream();
    loop {
        let piece = timeout(STALL, pieces.next())
            .await
            .map_err(|_elapsed| Failure::malformed("the body did not come in time"))?;
        let Some(piece) = piece else { return Ok(()) };
        let data =
            piece.map_err(|error| Failure::malformed(format!("the body ended early: {error}")))?;
        if let Some(sum) = sum {
            sum.update(&data);
        }
    }
}
