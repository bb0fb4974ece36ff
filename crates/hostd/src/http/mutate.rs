//! From a decoded request to an outcome: one way for every mutation.
//!
//! ```text
//!  key known? --committed--> the first answer again
//!      |  \--open--> 409 in_progress
//!      no or undone
//!      v
//!  [ planning: facts -> plan -> begin ] -> saga on a task of its own -> committed, or closed where names must be free
//! ```

use contract::operation::OperationState;
use contract::{ErrorCode, OperationId};
use engine::plan::{Change, Facts, Hold, Plan, Refusal};
use engine::record::Operation;
use engine::runner::Ticket;

use super::api::Api;
use super::decode::Origin;
use super::error::Failure;
use super::moment::Moment;

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Decision {
    /// This is to be done.
    Run(Box<Plan>),
    /// It is so already.
    Nothing,
}

impl From<Plan> for Decision {
    fn from(plan: Plan) -> Self {
        Self::Run(Box::new(plan))
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The operation. Where nothing was to be done, a name that only this answer carries.
    pub(super) operation: OperationId,
    /// What was committed; absent when nothing was to be done.
    pub(super) change: Option<Change>,
    /// The caller's hold on it, unless the answer is a repeated one.
    pub(super) ticket: Option<Ticket>,
}

impl Api {
    /// Plans and runs. The caller may leave at any time: what was begun goes on.
    pub(super) async fn mutate(
        &self,
        origin: Origin,
        plan: impl FnOnce(&Facts<'_>) -> Result<Decision, Refusal> + Send + 'static,
    ) -> Result<Outcome, Failure> {
        self.mutate_as(self.mint.operation_id(), origin, plan).await
    }

    /// The same under a name that callers may have been told already.
    pub(super) async fn mutate_as(
        &self,
        operation: OperationId,
        origin: Origin,
        plan: impl FnOnce(&Facts<'_>) -> Result<Decision, Refusal> + Send + 'static,
    ) -> Result<Outcome, Failure> {
        if let Some(outcome) = self.repeated(&origin).await? {
            return Ok(outcome);
        }
        let api = self.clone();
        let beginning = tokio::spawn(async move { api.begin(operation, origin, plan).await });
        let begun = beginning
            .await
            .map_err(|error| Failure::new(ErrorCode::Internal, format!("planning: {error}")))?;
        match begun? {
            Begun::Nothing(operation) => Ok(Outcome { operation, change: None, ticket: None }),
            Begun::Started(ticket, hold) => wait(ticket, hold).await,
        }
    }

    /// Begins what no caller asked for by name, on a task of its own.
    pub(super) async fn start_unasked(
        &self,
        plan: impl FnOnce(&Facts<'_>) -> Result<Decision, Refusal> + Send + 'static,
    ) -> Result<Ticket, Failure> {
        match self.begin(self.mint.operation_id(), Origin::unasked(), plan).await? {
            Begun::Started(ticket, _hold) => Ok(ticket),
            Begun::Nothing(operation) => {
                let reason = "there is nothing to be done";
                Err(Failure::new(ErrorCode::Internal, reason).of(&operation))
            }
        }
    }

    /// The first answer to this key, if there is one. Handlers that ask others before they plan ask this before them.
    pub(super) async fn repeated(&self, origin: &Origin) -> Result<Option<Outcome>, Failure> {
        let Some(key) = &origin.key else { return Ok(None) };
        let Some(found) = self.host().journal.operation_by_key(key).await? else {
            return Ok(None);
        };
        let is_undone = found.state == OperationState::Undone;
        if !is_undone && found.request_sha256.as_ref() != Some(&origin.sha256) {
            let reason = "this idempotency key was used for another request";
            return Err(Failure::new(ErrorCode::KeyReused, reason).of(&found.id));
        }
        match found.state {
            OperationState::Committed => {
                Ok(Some(Outcome { operation: found.id, change: found.committed, ticket: None }))
            }
            OperationState::Undone => Ok(None),
            OperationState::Running | OperationState::Failed => {
                let reason = "the request with this key is under way";
                Err(Failure::new(ErrorCode::InProgress, reason).of(&found.id))
            }
        }
    }

    /// Alone from the facts to the begin, so that nothing is promised twice (P13).
    async fn begin(
        &self,
        id: OperationId,
        origin: Origin,
        plan: impl FnOnce(&Facts<'_>) -> Result<Decision, Refusal>,
    ) -> Result<Begun, Failure> {
        let _planning = self.runner.planning().await;
        let host = self.host();
        let moment = Moment::gather(host, self.room.as_ref()).await?;
        let random = u128::from_be_bytes(crate::mint::SystemMint.random());
        let Decision::Run(plan) = plan(&moment.facts(host, &id, random))? else {
            return Ok(Begun::Nothing(id));
        };
        let hold = plan.hold;
        let operation = Operation {
            key: origin.key,
            request_sha256: Some(origin.sha256),
            ..Operation::new(*plan, moment.now())
        };
        let ticket = self.runner.start(operation).await?;
        Ok(Begun::Started(ticket, hold))
    }
}

enum Begun {
    Nothing(OperationId),
    Started(Ticket, Hold),
}

/// Waits for the commit, or for the close when only then names are free again.
async fn wait(mut ticket: Ticket, hold: Hold) -> Result<Outcome, Failure> {
    let ended = match hold {
        Hold::UntilCommit => ticket.committed().await,
        Hold::UntilClose => ticket.closed().await,
    };
    let operation = ticket.operation.clone();
    match ended {
        Ok(change) => Ok(Outcome { operation, change: Some(change), ticket: Some(ticket) }),
        Err(error) => Err(Failure::operation(error, &operation)),
    }
}
