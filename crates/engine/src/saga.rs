//! The saga: a plan run to its commit and its close, or taken back whole.
//!
//! ```text
//!  prepare* -- commit -- finish* -- close
//!      x                    x  (left open, the reconciler goes on)
//!      +-> undo* -- close
//! ```
//!
//! Only `begin` and `commit` are synchronous writes, so nobody knows how far the steps before the commit came: [`settle`]
//! undoes every one of them, and the journal alone says which way it goes.

use tracing::{Instrument, error, info, info_span, warn};

use crate::apply::{Effect, apply};
use crate::host::Host;
use crate::pause::Pause;
use crate::plan::{Change, Plan};
use crate::port::{Closing, PortError};
use crate::record::{Finding, Operation, OperationError};
use crate::step::Step;
use crate::undo::undo;
use crate::watch::Moment;
use contract::operation::OperationState;

/// Runs the preparing steps and commits. The change as committed; on error the caller settles.
pub async fn prepare(plan: &Plan, host: &Host) -> Result<Change, OperationError> {
    let mut findings = Vec::new();
    let mut noted = 0;
    let mut pause = None;
    for step in &plan.prepare {
        pause = Pause::beginning(step, host).or(pause);
        let made = match pause {
            Some(pause) => pause.within(host, make(step, plan, host)).await,
            None => make(step, plan, host).await,
        };
        findings.extend(made.map_err(|error| failure(&error))?.findings);
        if matches!(step, Step::Resume { .. }) {
            pause = None;
        }
        // Between a pause and its resume nothing waits on the store.
        if pause.is_none() {
            note(plan, &findings[noted..], host).await?;
            noted = findings.len();
        }
    }
    // Parts of an upload were noted as they finished, past this loop.
    let found = match &plan.commit {
        Change::UploadFinished { .. } => noted_findings(plan, host).await?,
        _ => findings,
    };
    let change = plan.commit.clone().complete(&found).map_err(|error| OperationError {
        fault: crate::port::Fault::Internal,
        reason: error.to_string(),
    })?;
    let committed = host.journal.commit(&plan.operation, &change);
    watched("commit", plan, host, committed).await.map_err(|error| failure(&error))?;
    info!(resource = plan.resource_id, "committed");
    Ok(change)
}

/// Makes a step true.
async fn make(step: &Step, plan: &Plan, host: &Host) -> Result<Effect, PortError> {
    let span = info_span!("step", step = step.name());
    watched(step.name(), plan, host, apply(step, &plan.operation, host).instrument(span)).await
}

/// Tells the watch of what is done.
async fn watched<T>(
    step: &'static str,
    plan: &Plan,
    host: &Host,
    doing: impl Future<Output = T>,
) -> T {
    let moment = Moment { operation: &plan.operation, kind: plan.kind, step };
    let began = host.clock.monotonic();
    host.watch.begins(moment);
    let done = doing.await;
    host.watch.ended(moment, host.clock.monotonic().saturating_sub(began));
    done
}

async fn note(plan: &Plan, findings: &[Finding], host: &Host) -> Result<(), OperationError> {
    for finding in findings {
        let noted = host.journal.note(&plan.operation, finding).await;
        noted.map_err(|error| failure(&error))?;
    }
    Ok(())
}

async fn noted_findings(plan: &Plan, host: &Host) -> Result<Vec<Finding>, OperationError> {
    let operation =
        host.journal.operation(&plan.operation).await.map_err(|error| failure(&error))?;
    Ok(operation.map(|operation| operation.findings).unwrap_or_default())
}

/// Runs the finishing steps and closes. Each works when it was done before.
pub async fn finish(plan: &Plan, host: &Host) -> Result<(), PortError> {
    let mut last = None;
    for step in &plan.finish {
        if let Some(change) = last.take() {
            host.journal.apply(&change).await?;
        }
        last = make(step, plan, host).await?.change;
    }
    host.journal.close(&plan.operation, &Closing::Finished(last.map(Box::new))).await
}

/// Brings an operation that was cut to its end: finished when it was committed, undone when it was not.
///
/// Undo lets guests run first, in reverse order within each group, and goes on past an undo that fails; then the operation
/// stays open and this is tried again.
pub async fn settle(operation: &Operation, host: &Host) -> Result<(), PortError> {
    match operation.state {
        OperationState::Committed => finish(&operation.plan, host).await,
        OperationState::Running | OperationState::Failed => {
            undo_all(&operation.plan, host).await?;
            host.journal.close(&operation.plan.operation, &Closing::Undone).await
        }
        OperationState::Undone => Ok(()),
    }
}

async fn undo_all(plan: &Plan, host: &Host) -> Result<(), PortError> {
    let resuming = plan.prepare.iter().rev().filter(|step| step.is_resuming());
    let others = plan.prepare.iter().rev().filter(|step| !step.is_resuming());
    let mut first_error = None;
    for step in resuming.chain(others) {
        let span = info_span!("undo", step = step.name());
        if let Err(error) = undo(step, &plan.operation, host).instrument(span).await {
            warn!(step = step.name(), error = error.chain(), "an undo failed; going on");
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Settles after an error in the same daemon life. Reads the journal: a commit whose answer was lost is finished, not undone.
pub async fn settle_failed(
    plan: &Plan,
    host: &Host,
    error: &OperationError,
) -> Result<Option<Change>, PortError> {
    let Some(operation) = host.journal.operation(&plan.operation).await? else {
        return Ok(None);
    };
    if operation.state == OperationState::Committed {
        finish(plan, host).await?;
        return Ok(operation.committed);
    }
    error!(reason = error.reason, "not committed; undoing");
    host.journal.fail(&plan.operation, error).await?;
    settle(&operation, host).await?;
    Ok(None)
}

fn failure(error: &PortError) -> OperationError {
    OperationError { fault: error.fault, reason: error.chain() }
}
