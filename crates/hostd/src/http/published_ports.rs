//! Published ports over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contract::published_port::{
    CreatePublishedPortRequest, PublishedPortAnswer, PublishedPortsAnswer,
};
use contract::{ErrorCode, MachineId, PublishedPortId};
use engine::plan::{self, Change};

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{At, Bare, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::Decision;

pub(super) async fn create(
    State(api): State<Api>,
    At(machine): At<MachineId>,
    sent: Sent<CreatePublishedPortRequest>,
) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = facts.machine(&machine)?;
        plan::published_port::create(machine, &sent.body, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    let Some(Change::PublishedPortAdded { port }) = &outcome.change else {
        let failure = Failure::new(ErrorCode::Internal, "the operation published no port");
        return Err(failure.of(&outcome.operation));
    };
    let answer = PublishedPortAnswer { port: encode::published_port(port) };
    Ok(of_operation(&outcome.operation, json(StatusCode::CREATED, answer)))
}

pub(super) async fn list(State(api): State<Api>, At(id): At<MachineId>) -> Answered {
    let machine = api.machine(&id).await?;
    let records = api.host().journal.published_ports().await?;
    let of_machine = records.iter().filter(|port| port.machine == machine.id);
    let ports = of_machine.map(encode::published_port).collect();
    Ok(json(StatusCode::OK, PublishedPortsAnswer { ports }))
}

pub(super) async fn delete(
    State(api): State<Api>,
    At((machine, id)): At<(MachineId, PublishedPortId)>,
    Bare(origin): Bare,
) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| match facts.published_port(&machine, &id) {
        Some(port) => Ok(plan::published_port::delete(port, facts).into()),
        None => Ok(Decision::Nothing),
    };
    let outcome = api.mutate(origin, plan).await?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}
