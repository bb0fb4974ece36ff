//! Machines whose files are still being filled, over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use contract::lazy::{Filling, FillingAnswer, FillingState};
use contract::{ErrorCode, MachineId};
use engine::port::Fill;

use super::answer::{Answered, json};
use super::api::Api;
use super::decode::At;
use super::error::Failure;

pub(super) async fn show(State(api): State<Api>, At(id): At<MachineId>) -> Answered {
    let machine = api.machine(&id).await?;
    let Some(record) = machine.filling else {
        let reason = format!("nothing of machine {id} is being filled");
        return Err(Failure::new(ErrorCode::NotFound, reason));
    };
    let chunks = &api.host().chunks;
    let (state, missing_bytes, reason) = match chunks.filling(&record.place).await? {
        Fill::Filling { missing_bytes } => (FillingState::Filling, missing_bytes, None),
        Fill::Full => (FillingState::Full, Some(0), None),
        Fill::Lost { reason } => (FillingState::Lost, None, Some(reason)),
    };
    let touched = chunks.working_set(&record.place).await?;
    let filling = Filling { state, missing_bytes, reason, touched };
    Ok(json(StatusCode::OK, FillingAnswer { filling }))
}
