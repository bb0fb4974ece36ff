//! What a machine does, and the one total function that says what may follow.

use contract::machine::Phase as PublicPhase;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::port::{Launch, VmmHandle};
use crate::record::Slot;

/// A run of a machine: the VMM and what it holds of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The launch, which names everything the run made.
    pub launch: Launch,
    /// The process.
    pub handle: VmmHandle,
    /// Namespace, address and uid.
    pub slot: Slot,
}

/// The phase of a machine. `failed` is not `stopped`: it keeps its reason until somebody stops or deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase", deny_unknown_fields)]
pub enum Phase {
    /// No VMM. The reason is absent when it was asked for.
    Stopped {
        /// Why, when nobody asked for it: the guest powered off, the host was rebooted.
        reason: Option<String>,
    },
    /// The VMM runs; the guest has not confirmed that it is ready.
    Starting {
        /// The run.
        run: Box<Run>,
        /// When it is failed if it has not become ready.
        deadline: Timestamp,
    },
    /// Ready.
    Running {
        /// The run.
        run: Box<Run>,
    },
    /// It did not start, or ended by itself.
    Failed {
        /// When.
        since: Timestamp,
        /// Why, with the last console lines where there are any.
        reason: String,
        /// What is kept of it when the configuration says so, for a person to look at.
        kept: Option<Box<Run>>,
    },
}

/// What can happen to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A VMM was launched.
    Launched {
        /// The run.
        run: Box<Run>,
        /// Until when it has to be ready.
        deadline: Timestamp,
    },
    /// The guest confirmed.
    Ready,
    /// It did not become ready, or its VMM ended by itself.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
        /// Whether what ran is kept for a look.
        kept: bool,
    },
    /// It was stopped, or powered itself off.
    Stopped {
        /// Why, when nobody asked for it.
        reason: Option<String>,
    },
}

/// An event that cannot happen in a phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a machine that is {phase} cannot become {event}")]
pub struct TransitionError {
    /// The phase it is in.
    pub phase: &'static str,
    /// What was to happen.
    pub event: &'static str,
}

impl Phase {
    /// The phase after `event`. Total: every pair is decided here and nowhere else.
    pub fn after(self, event: Event) -> Result<Self, TransitionError> {
        match (self, event) {
            (
                Self::Stopped { .. } | Self::Failed { kept: None, .. },
                Event::Launched { run, deadline },
            ) => Ok(Self::Starting { run, deadline }),
            (Self::Starting { run, .. }, Event::Ready) => Ok(Self::Running { run }),
            (
                Self::Starting { run, .. } | Self::Running { run },
                Event::Failed { at, reason, kept },
            ) => Ok(Self::Failed { since: at, reason, kept: kept.then_some(run) }),
            (_, Event::Stopped { reason }) => Ok(Self::Stopped { reason }),
            (phase, event) => Err(TransitionError { phase: phase.name(), event: event.name() }),
        }
    }

    /// The run, while there is one.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Starting { run, .. } | Self::Running { run } => Some(run),
            Self::Failed { kept, .. } => kept.as_deref(),
            Self::Stopped { .. } => None,
        }
    }

    /// The phase as callers see it.
    pub fn public(&self) -> PublicPhase {
        match self {
            Self::Stopped { .. } => PublicPhase::Stopped,
            Self::Starting { .. } => PublicPhase::Starting,
            Self::Running { .. } => PublicPhase::Running,
            Self::Failed { .. } => PublicPhase::Failed,
        }
    }

    /// The reason that goes with it, where there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Stopped { reason } => reason.as_deref(),
            Self::Failed { reason, .. } => Some(reason),
            Self::Starting { .. } | Self::Running { .. } => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Stopped { .. } => "stopped",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Launched { .. } => "starting",
            Self::Ready => "running",
            Self::Failed { .. } => "failed",
            Self::Stopped { .. } => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn phases() -> [Phase; 5] {
        let run = || Box::new(testing::run("box"));
        [
            Phase::Stopped { reason: None },
            Phase::Starting { run: run(), deadline: Timestamp::UNIX_EPOCH },
            Phase::Running { run: run() },
            Phase::Failed { since: Timestamp::UNIX_EPOCH, reason: "x".into(), kept: None },
            Phase::Failed { since: Timestamp::UNIX_EPOCH, reason: "x".into(), kept: Some(run()) },
        ]
    }

    #[test]
    fn the_transition_table_is_total_and_as_written() {
        let events = [
            Event::Launched { run: Box::new(testing::run("box")), deadline: Timestamp::UNIX_EPOCH },
            Event::Ready,
            Event::Failed { at: Timestamp::UNIX_EPOCH, reason: "y".into(), kept: false },
            Event::Stopped { reason: None },
        ];
        let table: Vec<Vec<&str>> = phases()
            .into_iter()
            .map(|phase| {
                let after = |event: &Event| match phase.clone().after(event.clone()) {
                    Ok(next) => next.name(),
                    Err(_) => "-",
                };
                events.iter().map(after).collect()
            })
            .collect();
        assert_eq!(
            table,
            [
                ["starting", "-", "-", "stopped"],
                ["-", "running", "failed", "stopped"],
                ["-", "-", "failed", "stopped"],
                ["starting", "-", "-", "stopped"],
                ["-", "-", "-", "stopped"],
            ]
        );
    }
}
