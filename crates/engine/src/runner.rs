//! Who runs sagas: each on a task of its own that owns its claims. A caller that leaves cancels nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use contract::OperationId;
use tokio::sync::{MutexGuard, watch};
use tracing::{Instrument, error, info_span};

use crate::claim::{BusyError, Claim, Claims, Held};
use crate::host::Host;
use crate::plan::{Change, Hold, Plan};
use crate::port::{BeginError, PortError};
use crate::record::{Operation, OperationError};
use crate::saga;

/// Why an operation was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something that it claims is in use.
    #[error(transparent)]
    Busy(#[from] BusyError),
    /// The journal did not take it.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

/// How far an operation has come, as its caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Before the commit.
    Preparing,
    /// Committed, with the change as it was written.
    Committed(Box<Change>),
    /// Not committed; undone, or being undone again by the reconciler.
    Failed(OperationError),
    /// Committed, and every finishing step is through.
    Closed(Box<Change>),
}

/// A caller's hold on an operation. Dropping it cancels nothing.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The operation.
    pub operation: OperationId,
    progress: watch::Receiver<Progress>,
}

impl Ticket {
    /// Waits for the commit, or for the end of the undo.
    pub async fn committed(&mut self) -> Result<Change, OperationError> {
        self.wait(|progress| !matches!(progress, Progress::Preparing)).await
    }

    /// Waits until the operation is closed, or until its finishing steps have been left to the reconciler.
    pub async fn closed(&mut self) -> Result<Change, OperationError> {
        self.wait(|progress| matches!(progress, Progress::Closed(_) | Progress::Failed(_))).await
    }

    async fn wait(
        &mut self,
        is_there: impl FnMut(&Progress) -> bool,
    ) -> Result<Change, OperationError> {
        // The sender goes away only after a last word, so an error here means the last value stands.
        let reached = self.progress.wait_for(is_there).await.map(|progress| progress.clone());
        let progress = reached.unwrap_or_else(|_| self.progress.borrow().clone());
        match progress {
            Progress::Committed(change) | Progress::Closed(change) => Ok(*change),
            Progress::Failed(error) => Err(error),
            Progress::Preparing => Err(OperationError {
                fault: crate::port::Fault::Internal,
                reason: "the operation's task ended without a word".into(),
            }),
        }
    }
}

/// Runs operations. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    host: Host,
    claims: Arc<Claims>,
    active: Arc<Mutex<HashSet<OperationId>>>,
    planning: Arc<tokio::sync::Mutex<()>>,
    activity: watch::Sender<Activity>,
}

/// How many operations run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Activity {
    /// Those that have a task.
    running: usize,
    /// Those of them that have not come to their commit or to the end of their undo.
    uncommitted: usize,
    /// Those that have ended since the daemon started.
    ended: u64,
}

impl Runner {
    /// A runner over these ports.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            claims: Arc::default(),
            active: Arc::default(),
            planning: Arc::default(),
            activity: watch::Sender::default(),
        }
    }

    /// The ports.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Claims something for longer than one operation does, until the answer is dropped.
    ///
    /// # Errors
    /// When an operation has it.
    pub fn hold(&self, claims: &[Claim]) -> Result<Held, BusyError> {
        self.claims.take(claims)
    }

    /// Held from the gathering of facts to the begin, so that nothing is promised twice. Never across a step.
    pub async fn planning(&self) -> MutexGuard<'_, ()> {
        self.planning.lock().await
    }

    /// Begins an operation and runs it on a task of its own.
    pub async fn start(&self, operation: Operation) -> Result<Ticket, StartError> {
        let held = self.claims.take(&operation.plan.claims)?;
        self.host.journal.begin(&operation).await?;
        let (progress, receiver) = watch::channel(Progress::Preparing);
        let ticket = Ticket { operation: operation.id.clone(), progress: receiver };
        let span = info_span!("operation", id = %operation.id, kind = operation.plan.kind.as_str());
        let active = self.enter(&operation.id);
        let runner = self.clone();
        tokio::spawn(
            async move {
                runner.run(operation.plan, held, active, &progress).await;
            }
            .instrument(span),
        );
        Ok(ticket)
    }

    async fn run(
        &self,
        plan: Plan,
        held: Held,
        mut active: Active,
        progress: &watch::Sender<Progress>,
    ) {
        let mut held = Some(held);
        match saga::prepare(&plan, &self.host).await {
            Ok(change) => {
                if plan.hold == Hold::UntilCommit {
                    held.take();
                }
                active.commit();
                progress.send_replace(Progress::Committed(Box::new(change.clone())));
                match saga::finish(&plan, &self.host).await {
                    Ok(()) => {
                        held.take();
                        progress.send_replace(Progress::Closed(Box::new(change)));
                    }
                    Err(error) => self.left_open(&error),
                }
            }
            Err(error) => {
                let settled = saga::settle_failed(&plan, &self.host, &error).await;
                held.take();
                match settled {
                    Ok(Some(change)) => {
                        progress.send_replace(Progress::Closed(Box::new(change)));
                    }
                    Ok(None) => {
                        progress.send_replace(Progress::Failed(error));
                    }
                    Err(undo_error) => {
                        self.left_open(&undo_error);
                        progress.send_replace(Progress::Failed(error));
                    }
                }
            }
        }
    }

    /// Settles an operation of an earlier life, or one that was left open, on a task of its own. `None` when it runs already or
    /// when what it claims is in use.
    pub fn resettle(&self, operation: Operation) -> Option<tokio::task::JoinHandle<()>> {
        if self.is_active(&operation.id) {
            return None;
        }
        let held = self.claims.take(&operation.plan.claims).ok()?;
        let mut active = self.enter(&operation.id);
        let runner = self.clone();
        let span = info_span!("settle", id = %operation.id, kind = operation.plan.kind.as_str());
        Some(tokio::spawn(
            async move {
                let is_committed =
                    operation.state == contract::operation::OperationState::Committed;
                let mut held = Some(held);
                if is_committed {
                    active.commit();
                }
                if is_committed && operation.plan.hold == Hold::UntilCommit {
                    held.take();
                }
                if let Err(error) = saga::settle(&operation, &runner.host).await {
                    runner.left_open(&error);
                }
                drop(held);
                drop(active);
            }
            .instrument(span),
        ))
    }

    fn left_open(&self, error: &PortError) {
        error!(error = error.chain(), "the operation stays open; the reconciler goes on with it");
    }

    /// Whether a task runs this operation now.
    pub fn is_active(&self, operation: &OperationId) -> bool {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).contains(operation)
    }

    /// Waits until no operation is before its commit. What a graceful stop waits for, within its own deadline: finishing steps
    /// go on in the next life as well as in this one.
    pub async fn idle(&self) {
        self.reaches(|activity| activity.uncommitted == 0).await;
    }

    /// Waits until more than `seen` operations have ended since the start; how many have.
    pub async fn ended_after(&self, seen: u64) -> u64 {
        self.reaches(|activity| activity.ended > seen).await.ended
    }

    /// Waits until no operation runs at all.
    pub async fn quiet(&self) {
        self.reaches(|activity| activity.running == 0).await;
    }

    async fn reaches(&self, is_there: impl Fn(&Activity) -> bool) -> Activity {
        let mut activity = self.activity.subscribe();
        // The sender lives as long as `self`.
        let reached =
            activity.wait_for(|activity| is_there(activity)).await.map(|reached| *reached);
        reached.unwrap_or_default()
    }

    fn enter(&self, operation: &OperationId) -> Active {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.insert(operation.clone());
        self.activity.send_modify(|activity| {
            activity.running += 1;
            activity.uncommitted += 1;
        });
        Active { runner: self.clone(), operation: operation.clone(), is_committed: false }
    }
}

/// Says that a task runs an operation, until it is dropped.
struct Active {
    runner: Runner,
    operation: OperationId,
    is_committed: bool,
}

impl Active {
    /// From here on a stop of the daemon does not wait for it.
    fn commit(&mut self) {
        if !std::mem::replace(&mut self.is_committed, true) {
            self.runner.activity.send_modify(|activity| activity.uncommitted -= 1);
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.commit();
        let mut active = self.runner.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.remove(&self.operation);
        drop(active);
        self.runner.activity.send_modify(|activity| {
            activity.running -= 1;
            activity.ended += 1;
        });
    }
}
