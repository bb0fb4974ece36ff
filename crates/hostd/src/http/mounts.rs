//! Mounts over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contract::endpoint::Endpoint;
use contract::endpoint::table::CreateMount;
use contract::mount::{CreateMountRequest, MountAnswer, MountsAnswer};
use contract::{ErrorCode, MachineId, MountId};
use engine::plan::{self, Change};

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{At, Bare, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::Decision;

pub(super) async fn list(State(api): State<Api>, At(id): At<MachineId>) -> Answered {
    let machine = api.machine(&id).await?;
    let mounts = machine.mounts.iter().map(|mount| encode::mount(&machine, mount)).collect();
    Ok(json(StatusCode::OK, MountsAnswer { mounts }))
}

/// Answered when it is recorded; how far the guest comes with it is seen in the list.
pub(super) async fn create(
    State(api): State<Api>,
    At(id): At<MachineId>,
    sent: Sent<CreateMountRequest>,
) -> Answered {
    api.leave_files(&id).await;
    let wanted = id.clone();
    let plan = move |facts: &plan::Facts<'_>| {
        plan::mount::create(&sent.body, facts.machine(&wanted)?, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    api.mounted.notify_one();
    let Some(Change::MountAdded { mount, .. }) = &outcome.change else {
        let reason = "no mount came of it";
        return Err(Failure::new(ErrorCode::Internal, reason).of(&outcome.operation));
    };
    let machine = api.machine(&id).await?;
    let mount = encode::mount(&machine, mount);
    Ok(of_operation(&outcome.operation, json(CreateMount::SUCCESS, MountAnswer { mount })))
}

pub(super) async fn delete(
    State(api): State<Api>,
    At((id, mount)): At<(MachineId, MountId)>,
    Bare(origin): Bare,
) -> Answered {
    api.leave_files(&id).await;
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = match facts.machine(&id) {
            Ok(machine) => machine,
            Err(refusal) if refusal.code == ErrorCode::NotFound => return Ok(Decision::Nothing),
            Err(refusal) => return Err(refusal),
        };
        let found = plan::mount::find(machine, &mount);
        Ok(found
            .map_or(Decision::Nothing, |found| plan::mount::delete(machine, found, facts).into()))
    };
    let outcome = api.mutate(origin, plan).await?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}
