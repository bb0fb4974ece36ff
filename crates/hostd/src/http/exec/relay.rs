//! The exec port of a machine: a relay to where its agent speaks Connect RPC.

use axum::extract::State;
use axum::http::StatusCode;
use contract::MachineId;
use contract::machine::MachineAnswer;
use contract::port::PortName;
use engine::plan;

use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::{At, Bare};
use crate::http::encode;
use crate::http::mutate::Decision;

/// A machine that has the port is answered as it is. One that does not run gets it all the same: it is open when it runs.
pub(in crate::http) async fn open(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Bare(origin): Bare,
) -> Answered {
    let wanted = id.clone();
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = facts.machine(&wanted)?;
        if machine.relays.iter().any(|relay| relay.name == PortName::Exec) {
            return Ok(Decision::Nothing);
        }
        plan::relay::add(machine, PortName::Exec, facts).map(Decision::from)
    };
    let outcome = api.mutate(origin, plan).await?;
    let record = api.machine(&id).await.map_err(|failure| failure.of(&outcome.operation))?;
    let answer = MachineAnswer { machine: encode::machine(&record) };
    Ok(of_operation(&outcome.operation, json(StatusCode::OK, answer)))
}
