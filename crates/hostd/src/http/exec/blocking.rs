//! A command and its output in one answer.
//!
//! With an idempotency key it is an operation: it runs once, and its outcome is kept and answered again. Without one nothing of
//! it is journalled, since nothing of this host changes: the `Operation-Id` is the name of its session in the guest.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use contract::error::PartialOutput;
use contract::exec::{DEFAULT_TIMEOUT_MS, ExecRequest, ExecResponse, MAX_TIMEOUT_MS};
use contract::{ErrorCode, MachineId, OperationId};
use engine::plan::{self, Change};
use engine::port::CommandJob;
use engine::record::CommandOutcome;
use guest::client::{ClientError, Output};
use tokio::sync::oneshot;

use super::agents::Reached;
use crate::adapters::command::{outcome, to_command};
use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::{At, Origin, Sent};
use crate::http::error::Failure;
use crate::http::mutate::Decision;

/// How much longer than the command's own timeout the agent is waited for.
pub(crate) const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// How much of each stream is kept with an operation, in the store.
const KEPT_BYTES: usize = 256 << 10;

pub(in crate::http) async fn exec(
    State(api): State<Api>,
    At(id): At<MachineId>,
    sent: Sent<ExecRequest>,
) -> Answered {
    let request = sent.body;
    if request.command.is_empty() {
        return Err(Failure::malformed("there is no command"));
    }
    let timeout_ms = request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
    if timeout_ms > MAX_TIMEOUT_MS {
        let reason = format!("timeout_ms is at most {MAX_TIMEOUT_MS}");
        return Err(Failure::new(ErrorCode::Refused, reason));
    }
    let most_bytes = api.limits.exec_output_bytes;
    if sent.origin.key.is_some() {
        let most_bytes = most_bytes.min(KEPT_BYTES);
        let job = CommandJob { request, timeout_ms, most_bytes };
        return run_once(&api, id, job, sent.origin).await;
    }
    let reached = api.reach(&id).await?;
    let operation = api.mint.operation_id();
    let job = CommandJob { request, timeout_ms, most_bytes };
    let ended = run(&api, reached, operation.clone(), job).await;
    answer(&operation, ended.map_err(|failure| failure.of(&operation))?)
}

/// As an operation. A repeated request is answered before the machine is looked at: it may be gone.
async fn run_once(api: &Api, id: MachineId, job: CommandJob, origin: Origin) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| {
        plan::command::run(facts.machine(&id)?, job, facts).map(Decision::from)
    };
    let done = api.mutate(origin, plan).await?;
    match done.change {
        Some(Change::CommandRan { outcome: Some(outcome), .. }) => answer(&done.operation, outcome),
        _ => {
            let failure = Failure::new(ErrorCode::Internal, "the operation ran no command");
            Err(failure.of(&done.operation))
        }
    }
}

/// On a task of its own: a caller that leaves cancels nothing, and the guest is tidied up after the answer.
async fn run(
    api: &Api,
    reached: Reached,
    session_id: OperationId,
    job: CommandJob,
) -> Result<CommandOutcome, Failure> {
    let clock = api.host().clock.clone();
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let Reached { client, permit } = reached;
        let timeout = Duration::from_millis(job.timeout_ms);
        let (began, patience) = (clock.monotonic(), timeout + ANSWER_GRACE);
        let command = to_command(&job.request, timeout);
        let (ended, session) = match client.start(session_id.as_str(), command, patience).await {
            Ok(mut session) => {
                let left = patience.saturating_sub(clock.monotonic().saturating_sub(began));
                (session.collect(left, job.most_bytes).await, Some(session))
            }
            Err(ClientError::Deadline { .. }) => (Ok(Output::default()), None),
            Err(error) => (Err(error), None),
        };
        let waited = clock.monotonic().saturating_sub(began);
        // A caller that is gone is not told.
        drop(answer.send(ended.map(|output| outcome(output, waited)).map_err(Failure::from)));
        if let Some(session) = session {
            session.forget().await;
        }
        drop(permit);
    });
    answered.await.unwrap_or_else(|_dropped| {
        Err(Failure::new(ErrorCode::Internal, "the task that ran the command ended"))
    })
}

/// A command that ran out of time is a failure that carries what it had written.
fn answer(operation: &OperationId, outcome: CommandOutcome) -> Answered {
    let CommandOutcome { exit_code, stdout, stderr, is_truncated, duration_ms } = outcome;
    match exit_code {
        Some(exit_code) => {
            let truncated = is_truncated;
            let response = ExecResponse { exit_code, stdout, stderr, duration_ms, truncated };
            Ok(of_operation(operation, json(StatusCode::OK, response)))
        }
        None => Err(Failure {
            partial: Some(PartialOutput { stdout, stderr, duration_ms }),
            ..Failure::new(ErrorCode::Deadline, "the command ran out of time").of(operation)
        }),
    }
}
