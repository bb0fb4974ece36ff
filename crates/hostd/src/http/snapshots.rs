//! Snapshots over HTTP: create, list, show, delete.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contract::endpoint::Endpoint;
use contract::endpoint::table::CreateSnapshot;
use contract::snapshot::{CreateSnapshotRequest, SnapshotsAnswer};
use contract::{ErrorCode, MachineId, SnapshotId};
use engine::plan::{self, Change, Refusal};
use engine::port::OriginOf;
use engine::record::Origin;

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{At, Bare, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::{Decision, Outcome};

pub(super) async fn create(
    State(api): State<Api>,
    At(machine): At<MachineId>,
    sent: Sent<CreateSnapshotRequest>,
) -> Answered {
    let outcome = match api.repeated(&sent.origin).await? {
        Some(outcome) => outcome,
        None => take(&api, machine, sent).await?,
    };
    let Some(Change::SnapshotAdded { snapshot }) = &outcome.change else {
        return Err(
            Failure::new(ErrorCode::Internal, "no snapshot came of it").of(&outcome.operation)
        );
    };
    let answer = json(CreateSnapshot::SUCCESS, encode::snapshot_answer(snapshot));
    Ok(of_operation(&outcome.operation, answer))
}

/// What the snapshot depends on is asked of the VMM before it is planned.
async fn take(
    api: &Api,
    machine: MachineId,
    sent: Sent<CreateSnapshotRequest>,
) -> Result<Outcome, Failure> {
    let origin = api.origin_of(&machine).await?;
    let plan = move |facts: &plan::Facts<'_>| {
        let machine = facts.machine(&machine)?;
        plan::snapshot::create(machine, &sent.body, origin, facts).map(Decision::from)
    };
    api.mutate(sent.origin, plan).await
}

impl Api {
    /// What a snapshot of this machine would depend on; it has to run.
    pub(super) async fn origin_of(&self, machine: &MachineId) -> Result<Origin, Failure> {
        let record = self.machine(machine).await?;
        let Some(run) = record.phase.run() else {
            let reason = format!("machine {machine} is {}", record.phase.public().as_str());
            return Err(Failure::new(ErrorCode::WrongState, reason));
        };
        let vmm = self.host().vmm(record.vmm)?;
        Ok(vmm.origin(&record.shape, OriginOf::Run(&run.launch)).await?)
    }
}

pub(super) async fn list(State(api): State<Api>) -> Answered {
    let records = api.host().journal.snapshots().await?;
    let seen = records.iter().filter(|record| !record.is_of_fork);
    let snapshots = seen.map(encode::snapshot).collect();
    Ok(json(StatusCode::OK, SnapshotsAnswer { snapshots }))
}

/// Also of a machine that is gone: snapshots outlive it.
pub(super) async fn list_of_machine(
    State(api): State<Api>,
    At(machine): At<MachineId>,
) -> Answered {
    let records = api.host().journal.snapshots().await?;
    let seen = records.iter().filter(|record| !record.is_of_fork);
    let of_machine = seen.filter(|record| record.origin.machine == machine);
    let snapshots = of_machine.map(encode::snapshot).collect();
    Ok(json(StatusCode::OK, SnapshotsAnswer { snapshots }))
}

pub(super) async fn show(State(api): State<Api>, At(id): At<SnapshotId>) -> Answered {
    Ok(json(StatusCode::OK, encode::snapshot_answer(&api.snapshot(&id).await?)))
}

pub(super) async fn delete(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    Bare(origin): Bare,
) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| {
        let snapshot = facts.snapshots.iter().find(|record| record.origin.snapshot == id);
        let absent = || Refusal::new(ErrorCode::NotFound, format!("no snapshot {id}"));
        plan::snapshot::delete(snapshot.ok_or_else(absent)?, facts).map(Decision::from)
    };
    // Whoever holds a claim on a snapshot uses it: contract.md calls that `in_use`.
    let in_use = |failure: Failure| match failure.code {
        ErrorCode::Busy => Failure { code: ErrorCode::InUse, ..failure },
        _ => failure,
    };
    let outcome = api.mutate(origin, plan).await.map_err(in_use)?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}
