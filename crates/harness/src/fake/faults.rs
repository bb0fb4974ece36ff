//! The gate through which every effect of one daemon's life passes, and what goes wrong at it.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::Notify;

/// What happens to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It fails and has done nothing.
    FailsBefore,
    /// It is done, and reported as failed.
    FailsAfter,
    /// The daemon dies before it.
    CrashesBefore,
    /// The daemon dies after it.
    CrashesAfter,
}

impl How {
    /// All ways.
    pub const ALL: [Self; 4] =
        [Self::FailsBefore, Self::FailsAfter, Self::CrashesBefore, Self::CrashesAfter];
    /// The ways in which a daemon dies.
    pub const CRASHES: [Self; 2] = [Self::CrashesBefore, Self::CrashesAfter];

    /// Whether it ends the daemon.
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashesBefore | Self::CrashesAfter)
    }
}

/// Something that goes wrong: the effect with this number, counted from 0 in one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which effect.
    pub at: usize,
    /// What happens to it.
    pub how: How,
}

/// All that goes wrong in one life.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<Gate>,
    death: Notify,
}

#[derive(Debug, Default)]
struct Gate {
    planned: Vec<Fault>,
    passed: Vec<String>,
    is_armed: bool,
    is_dead: bool,
}

/// The answer of the gate to one effect.
pub(super) enum Verdict {
    /// Nothing goes wrong.
    Pass,
    /// This does.
    Hit(How),
    /// The daemon died before: nothing of it goes on.
    Dead,
}

impl Faults {
    /// A life in which these go wrong, once armed.
    pub fn new(planned: impl Into<Vec<Fault>>) -> Self {
        let state = Gate { planned: planned.into(), ..Gate::default() };
        Self { state: Mutex::new(state), death: Notify::new() }
    }

    /// From here on effects are counted and faults happen.
    pub fn arm(&self) {
        self.lock().is_armed = true;
    }

    /// The names of all effects since it was armed.
    pub fn passed(&self) -> Vec<String> {
        self.lock().passed.clone()
    }

    /// Whether the daemon has died.
    pub fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    /// Returns when the daemon has died.
    pub async fn died(&self) {
        let death = self.death.notified();
        if !self.is_dead() {
            death.await;
        }
    }

    pub(super) fn die(&self) {
        self.lock().is_dead = true;
        self.death.notify_waiters();
    }

    pub(super) fn judge(&self, effect: &str) -> Verdict {
        let mut gate = self.lock();
        if gate.is_dead {
            return Verdict::Dead;
        }
        if !gate.is_armed {
            return Verdict::Pass;
        }
        let number = gate.passed.len();
        gate.passed.push(effect.to_owned());
        match gate.planned.iter().find(|fault| fault.at == number) {
            Some(fault) => Verdict::Hit(fault.how),
            None => Verdict::Pass,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
