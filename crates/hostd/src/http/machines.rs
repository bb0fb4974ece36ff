//! Machines over HTTP.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contract::endpoint::Endpoint;
use contract::endpoint::table::{CreateMachine, ResizeMachine, StartMachine};
use contract::machine::{
    CreateMachineRequest, Machine, MachineAnswer, MachinesAnswer, Phase, ResizeMachineRequest,
};
use contract::operation::{Wait, WaitQuery};
use contract::{ErrorCode, MachineId};
use engine::phase;
use engine::plan;

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{Asked, At, Bare, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::{Decision, Outcome};

/// Between two looks at a machine whose start belongs to another request.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How much longer than its own deadline a start is waited for; the engine fails it before.
const START_GRACE: Duration = Duration::from_secs(60);

pub(super) async fn create(
    State(api): State<Api>,
    Asked(query): Asked<WaitQuery>,
    sent: Sent<CreateMachineRequest>,
) -> Answered {
    let id = sent.body.machine_id.clone();
    let plan =
        move |facts: &plan::Facts<'_>| plan::machine::create(&sent.body, facts).map(Decision::from);
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_start(CreateMachine::SUCCESS, &id, outcome, query).await
}

pub(super) async fn list(State(api): State<Api>) -> Answered {
    let mut records = api.host().journal.machines().await?;
    records.sort_by_key(|record| record.created_at);
    let machines = records.iter().map(encode::machine).collect();
    Ok(json(StatusCode::OK, MachinesAnswer { machines }))
}

pub(super) async fn show(State(api): State<Api>, At(id): At<MachineId>) -> Answered {
    let machine = encode::machine(&api.machine(&id).await?);
    Ok(json(StatusCode::OK, MachineAnswer { machine }))
}

pub(super) async fn start(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Asked(query): Asked<WaitQuery>,
    Bare(origin): Bare,
) -> Answered {
    let wanted = id.clone();
    api.leave_files(&id).await;
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = facts.machine(&wanted)?;
        match &machine.phase {
            phase::Phase::Starting { .. } | phase::Phase::Running { .. } => Ok(Decision::Nothing),
            phase::Phase::Stopped { .. } | phase::Phase::Failed { .. } => {
                plan::machine::start(machine, facts).map(Decision::from)
            }
        }
    };
    let outcome = api.mutate(origin, plan).await?;
    api.answer_start(StartMachine::SUCCESS, &id, outcome, query).await
}

pub(super) async fn stop(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Bare(origin): Bare,
) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = facts.machine(&id)?;
        match &machine.phase {
            phase::Phase::Stopped { .. } => Ok(Decision::Nothing),
            phase::Phase::Starting { .. }
            | phase::Phase::Running { .. }
            | phase::Phase::Failed { .. } => Ok(plan::machine::stop(machine, facts).into()),
        }
    };
    let outcome = api.mutate(origin, plan).await?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}

pub(super) async fn resize(
    State(api): State<Api>,
    At(id): At<MachineId>,
    sent: Sent<ResizeMachineRequest>,
) -> Answered {
    let wanted = id.clone();
    api.leave_files(&id).await;
    let plan = move |facts: &plan::Facts<'_>| {
        let plan = plan::resize::plan(facts.machine(&wanted)?, &sent.body, facts)?;
        Ok(plan.map_or(Decision::Nothing, Decision::from))
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_start(ResizeMachine::SUCCESS, &id, outcome, WaitQuery::default()).await
}

pub(super) async fn delete(
    State(api): State<Api>,
    At(id): At<MachineId>,
    Bare(origin): Bare,
) -> Answered {
    api.leave_files(&id).await;
    let plan = move |facts: &plan::Facts<'_>| match facts.machine(&id) {
        Ok(machine) => Ok(plan::machine::delete(machine, facts).into()),
        Err(refusal) if refusal.code == ErrorCode::NotFound => Ok(Decision::Nothing),
        Err(refusal) => Err(refusal),
    };
    let outcome = api.mutate(origin, plan).await?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}

impl Api {
    /// The answer of create, start and restore: as committed, or as it is once it is ready or has failed.
    pub(super) async fn answer_start(
        &self,
        status: StatusCode,
        id: &MachineId,
        mut outcome: Outcome,
        query: WaitQuery,
    ) -> Answered {
        let committed = outcome.change.as_ref().and_then(encode::started_machine);
        let machine = match (query.wait, committed) {
            (Some(Wait::Running), committed) => {
                if let Some(ticket) = &mut outcome.ticket {
                    ticket
                        .closed()
                        .await
                        .map_err(|error| Failure::operation(error, &outcome.operation))?;
                }
                match (self.settled(id).await, committed) {
                    (Err(failure), Some(committed)) if failure.code == ErrorCode::NotFound => {
                        committed
                    }
                    (settled, _) => settled.map_err(|failure| failure.of(&outcome.operation))?,
                }
            }
            (None, Some(committed)) => committed,
            (None, None) => encode::machine(&self.machine(id).await?),
        };
        Ok(of_operation(&outcome.operation, json(status, MachineAnswer { machine })))
    }

    /// The machine once it is no longer starting.
    pub(super) async fn settled(&self, id: &MachineId) -> Result<Machine, Failure> {
        let start = Duration::from_millis(self.host().settings.deadlines.start_ms);
        let looking = async {
            loop {
                let machine = encode::machine(&self.machine(id).await?);
                if machine.phase != Phase::Starting {
                    return Ok(machine);
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        tokio::time::timeout(start + START_GRACE, looking).await.unwrap_or_else(|_elapsed| {
            Err(Failure::new(ErrorCode::Deadline, format!("machine {id} is still starting")))
        })
    }
}
