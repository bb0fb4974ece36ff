//! Freezes and thaws everything in the guest but the agent (promises P3 and P8).
//!
//! A frozen guest thaws when it is told, or by itself after a while, so that a host that dies does not leave its guest
//! frozen. But the timer of that lies in the guest's memory, and so in every snapshot: a clone would thaw by itself
//! before it was renewed. Hence the timer alone decides nothing:
//!
//! ```text
//!   timer ends -> the root disk has another serial number        -> stay frozen: a clone, which its host renews
//!              -> a newer channel session came since the freeze  -> stay frozen: that host thaws, or renews
//!              -> the link lost its host, and none comes soon   -> thaw: the host of the source died
//!              -> else ask the host of the session that froze    -> it answers: the source, thaw
//!                                                                -> silence: perhaps a clone, ask again
//! ```
//! In a clone the old session's host cannot answer, and the link shows no loss as long as the new host connects before
//! the clone resumes; should that one die too, the serial number of the root disk still tells: every run of a VMM has one of its
//! own, and the guest's driver asks the device at each read. Transports without frames cannot be asked and count as lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{sleep, timeout};

use super::cgroup::Cgroup;
use super::foreseen::Foreseen;
use crate::framing::{LinkStatus, Presence};

/// Between two questions to a host that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a host that was lost may take to come back: the host of a clone that connected only after the resume.
const RETURN_PATIENCE: Duration = Duration::from_secs(3);

/// Somebody else in the guest may have thawed it.
const THAW_POLL: Duration = Duration::from_millis(500);

/// Names the run of the VMM, wherever the root disk is virtio-blk.
const RUN_MARK: &str = "/sys/block/vda/serial";

/// Why the guest is not in the state that was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FreezeError {
    /// No cgroup of version 2 to freeze.
    #[error("this guest cannot be frozen: it has no cgroups of version 2")]
    Impossible,
    /// Processes that do not stop; all are thawed again.
    #[error("not every process froze within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The kernel refused.
    #[error("change the state of the guest's cgroup")]
    Cgroup(#[source] std::io::Error),
    /// The agent is ending.
    #[error("the agent is ending")]
    Ending,
}

/// The one place that changes the state. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Freezer {
    cgroup: Option<Cgroup>,
    presence: Presence,
    state: Arc<Mutex<State>>,
    thaws: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    frozen_since: Option<Instant>,
    freezes: u64,
    /// Ends with the freeze: its open files would keep file systems from being unmounted.
    foreseen: Option<Foreseen>,
}

/// What was so when the guest was frozen.
#[derive(Debug)]
struct Frozen {
    sessions: u64,
    freezes: u64,
    run_mark: Option<String>,
}

/// Absent where there is no such disk: an agent that runs as an ordinary process.
fn run_mark() -> Option<String> {
    std::fs::read_to_string(RUN_MARK).ok()
}

/// Nobody else freezes or thaws while this lives.
#[derive(Debug)]
pub(crate) struct Held {
    cgroup: Option<Cgroup>,
    state: OwnedMutexGuard<State>,
    thaws: watch::Sender<u64>,
}

impl Freezer {
    pub(crate) fn new(cgroup: Option<Cgroup>, presence: Presence) -> Freezer {
        Freezer { cgroup, presence, state: Arc::default(), thaws: watch::Sender::new(0) }
    }

    pub(crate) fn is_possible(&self) -> bool {
        self.cgroup.is_some()
    }

    /// What the kernel says, whoever asked for it.
    pub(crate) fn is_frozen(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::is_freezing)
    }

    /// Waits for its turn.
    pub(crate) async fn hold(&self) -> Held {
        let state = self.state.clone().lock_owned().await;
        Held { cgroup: self.cgroup.clone(), state, thaws: self.thaws.clone() }
    }

    /// Waits for its turn and for the guest to be thawed. Whoever starts a process in the guest's cgroup holds this: a
    /// child that froze before its exec would hold up the agent, which waits for that.
    pub(crate) async fn hold_thawed(&self) -> Held {
        let mut thaws = self.thaws.subscribe();
        loop {
            let held = self.hold().await;
            if !held.is_freezing() {
                return held;
            }
            drop(held);
            if timeout(THAW_POLL, thaws.changed()).await.is_err() {
                tracing::trace!("still frozen");
            }
        }
    }

    /// Freezes and answers how long it took, and which freeze it was by its count. Goes on when its caller leaves; a second freeze sets the timer anew.
    pub(crate) async fn freeze(
        &self,
        deadline: Duration,
        self_thaw: Duration,
    ) -> Result<(Duration, u64), FreezeError> {
        let freezer = self.clone();
        let freezing = tokio::spawn(async move {
            let mut held = freezer.hold().await;
            let took = held.freeze(deadline).await?;
            let frozen = Frozen {
                sessions: freezer.presence.watch().borrow().sessions,
                freezes: held.state.freezes,
                run_mark: run_mark(),
            };
            let freezes = frozen.freezes;
            tokio::spawn(freezer.clone().thaw_by_itself(frozen, self_thaw));
            Ok((took, freezes))
        });
        freezing.await.map_err(|_ended| FreezeError::Ending)?
    }

    /// Keeps what was seen in the freeze of this count, while it lasts.
    pub(crate) async fn keep(&self, freeze: u64, foreseen: Foreseen) {
        let mut held = self.hold().await;
        if held.state.frozen_since.is_some() && held.state.freezes == freeze {
            held.state.foreseen = Some(foreseen);
        }
    }

    /// Thaws; answers for how long it was frozen, `None` when it was not.
    pub(crate) async fn thaw(&self) -> Result<Option<Duration>, FreezeError> {
        self.hold().await.thaw()
    }

    async fn thaw_by_itself(self, frozen: Frozen, after: Duration) {
        sleep(after).await;
        let mut status = self.presence.watch();
        let answered_before = status.borrow().probes_answered;
        loop {
            let now = *status.borrow_and_update();
            if now.sessions != frozen.sessions {
                tracing::info!("stay frozen: a newer session came since");
                return;
            }
            if now.probes_answered > answered_before {
                break;
            }
            if !now.is_connected {
                let returned =
                    |status: &LinkStatus| status.is_connected || status.sessions != frozen.sessions;
                if timeout(RETURN_PATIENCE, status.wait_for(returned)).await.is_err() {
                    break;
                }
                continue;
            }
            self.presence.probe();
            if timeout(PROBE_INTERVAL, status.changed()).await.is_err() {
                tracing::debug!("the host that froze this guest does not answer");
            }
        }
        let mut held = self.hold().await;
        if run_mark() != frozen.run_mark {
            tracing::info!("stay frozen: this is a clone of the guest that was frozen");
            return;
        }
        if held.state.freezes != frozen.freezes || held.state.frozen_since.is_none() {
            return;
        }
        match held.thaw() {
            Ok(_) => tracing::warn!("thawed by itself: nobody asked for it in time"),
            Err(error) => tracing::error!(%error, "could not thaw"),
        }
    }
}

impl Held {
    fn is_freezing(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::is_freezing)
    }

    /// What was seen in the freeze that lasts.
    pub(crate) fn take_foreseen(&mut self) -> Option<Foreseen> {
        self.state.foreseen.take()
    }

    async fn freeze(&mut self, within: Duration) -> Result<Duration, FreezeError> {
        let cgroup = self.cgroup.clone().ok_or(FreezeError::Impossible)?;
        let started = Instant::now();
        let waiting = cgroup.clone();
        let frozen = tokio::task::spawn_blocking(move || {
            waiting.start_freezing()?;
            waiting.wait_frozen(started + within)
        })
        .await
        .map_err(|_ended| FreezeError::Ending)?;
        self.state.freezes += 1;
        self.state.foreseen = None;
        match frozen {
            Ok(true) => {
                self.state.frozen_since.get_or_insert_with(Instant::now);
                Ok(started.elapsed())
            }
            Ok(false) => {
                self.thaw()?;
                Err(FreezeError::Deadline(within))
            }
            Err(error) => {
                self.thaw()?;
                Err(FreezeError::Cgroup(error))
            }
        }
    }

    /// Thaws, whatever the state is thought to be.
    pub(crate) fn thaw(&mut self) -> Result<Option<Duration>, FreezeError> {
        self.state.foreseen = None;
        let Some(cgroup) = &self.cgroup else { return Ok(None) };
        cgroup.thaw().map_err(FreezeError::Cgroup)?;
        self.thaws.send_modify(|count| *count += 1);
        Ok(self.state.frozen_since.take().map(|since| since.elapsed()))
    }
}
