//! Forks over HTTP: names for all children in one operation, then a restore for each.
//!
//! ```text
//!  key known? --> the first commit again ----------\
//!      | no                                         v
//!  plan and run the fork (one pause) --> Forked --> for each child: a restore with a key of its own --> outcomes
//! ```
//! The children's keys derive from the fork's operation: a repeated request finds the children that it made, and makes those that a
//! daemon which died in between had not begun.

use std::sync::Arc;

use axum::extract::State;
use contract::endpoint::Endpoint;
use contract::endpoint::table::ForkMachine;
use contract::fork::{ForkAnswer, ForkRequest, ForkedMachine};
use contract::machine::Machine;
use contract::operation::{Wait, WaitQuery};
use contract::{ErrorCode, MachineId, OperationId, SnapshotId};
use engine::claim::Claim;
use engine::plan::{self, Change};
use engine::record::Snapshot;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::answer::{Answered, json, of_operation, on_a_task};
use super::api::{Api, no_snapshot};
use super::decode::{Asked, At, Origin, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::{Decision, Outcome};
use super::transfer;

/// How many children are started at once: enough to keep a few processors busy, and few enough that each comes soon.
const AT_ONCE: usize = 8;

pub(super) async fn of_machine(
    State(api): State<Api>,
    At(machine): At<MachineId>,
    Asked(query): Asked<WaitQuery>,
    sent: Sent<ForkRequest>,
) -> Answered {
    let request = sent.body.clone();
    // A caller who leaves does not keep children from being born.
    on_a_task("the fork ended badly", async move {
        let outcome = match api.repeated(&sent.origin).await? {
            Some(outcome) => outcome,
            None => {
                let origin = api.origin_of(&machine).await?;
                let plan = move |facts: &plan::Facts<'_>| {
                    let machine = facts.machine(&machine)?;
                    plan::fork::of_machine(machine, &sent.body, origin, facts).map(Decision::from)
                };
                api.mutate(sent.origin, plan).await?
            }
        };
        api.bear(outcome, request, query).await
    })
    .await
}

pub(super) async fn of_snapshot(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    Asked(query): Asked<WaitQuery>,
    sent: Sent<ForkRequest>,
) -> Answered {
    let request = sent.body.clone();
    // A caller who leaves does not keep children from being born.
    on_a_task("the fork ended badly", async move {
        let plan = move |facts: &plan::Facts<'_>| {
            let snapshot = transfer::found(&id, facts)?;
            plan::fork::of_snapshot(snapshot, &sent.body, facts).map(Decision::from)
        };
        let outcome = api.mutate(sent.origin, plan).await?;
        api.bear(outcome, request, query).await
    })
    .await
}

impl Api {
    /// Makes the children of a committed fork that are not there, and answers what became of each.
    async fn bear(&self, outcome: Outcome, request: ForkRequest, query: WaitQuery) -> Answered {
        let fork = outcome.operation;
        let Some(Change::Forked { snapshot: id, taken, children }) = outcome.change else {
            return Err(Failure::new(ErrorCode::Internal, "no fork came of it").of(&fork));
        };
        // Nobody takes away what they are to be made of.
        let held = self.runner.hold(&[Claim::read_snapshot(&id)]);
        let snapshot = self.host().journal.snapshot(&id).await?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut births = JoinSet::new();
        for (place, name) in children.iter().cloned().enumerate() {
            let birth = Birth {
                api: self.clone(),
                fork: fork.clone(),
                snapshot: snapshot.clone().ok_or_else(|| no_snapshot(&id)),
                request: request.clone(),
                query,
            };
            let turns = Arc::clone(&turns);
            births.spawn(async move { (place, birth.of(name, &turns).await) });
        }
        let mut born: Vec<Option<ForkedMachine>> = vec![None; children.len()];
        while let Some(birth) = births.join_next().await {
            let (place, child) = birth.map_err(|error| {
                Failure::new(ErrorCode::Internal, format!("a child: {error}")).of(&fork)
            })?;
            born[place] = Some(child);
        }
        drop(held);
        self.collect_fork(&id).await;
        let answer = ForkAnswer {
            snapshot_id: id,
            pause_ms: encode::milliseconds(taken.as_ref().and_then(|taken| taken.pause_us)),
            frozen_ms: encode::milliseconds(taken.as_ref().and_then(|taken| taken.frozen_us)),
            children: born.into_iter().flatten().collect(),
        };
        Ok(of_operation(&fork, json(ForkMachine::SUCCESS, answer)))
    }
}

/// What the making of one child needs.
struct Birth {
    api: Api,
    fork: OperationId,
    snapshot: Result<Snapshot, Failure>,
    request: ForkRequest,
    query: WaitQuery,
}

impl Birth {
    /// The child, or why there is none: its trouble is its own (P14).
    async fn of(self, name: MachineId, turns: &Semaphore) -> ForkedMachine {
        let mut operation = None;
        let made = self.make(&name, turns, &mut operation).await;
        let (machine, error) = match made {
            Ok(machine) => (Some(machine), None),
            Err(failure) => (None, Some(failure.into())),
        };
        ForkedMachine { machine_id: name, operation_id: operation, machine, error }
    }

    async fn make(
        self,
        name: &MachineId,
        turns: &Semaphore,
        operation: &mut Option<OperationId>,
    ) -> Result<Machine, Failure> {
        let origin = Origin::child(&self.fork, name.as_str());
        let outcome = match self.api.repeated(&origin).await? {
            Some(outcome) => outcome,
            None => {
                let snapshot = self.snapshot?;
                let id = snapshot.origin.snapshot.clone();
                let body = plan::fork::child(name.clone(), &self.request, &snapshot);
                let turn = turns.acquire().await.map_err(|closed| {
                    Failure::new(ErrorCode::Internal, format!("the turn of a child: {closed}"))
                })?;
                let outcome = transfer::go_on(&self.api, id, Sent { body, origin }).await?;
                drop(turn);
                outcome
            }
        };
        *operation = Some(outcome.operation.clone());
        let committed = outcome.change.as_ref().and_then(encode::started_machine);
        match (self.query.wait, committed, outcome.ticket) {
            (None, Some(committed), _) => Ok(committed),
            (Some(Wait::Running), _, Some(mut ticket)) => {
                let closed = ticket.closed().await;
                closed.map_err(|error| Failure::operation(error, &outcome.operation))?;
                self.api.settled(name).await
            }
            (Some(Wait::Running), _, None) | (None, None, _) => self.api.settled(name).await,
        }
    }
}
