//! A `computerd` that ends itself by SIGKILL at one step of one kind of operation: before it or after it.
//!
//! It is the daemon itself, told by its [`Watch`] where it is. The program is `mortal-computerd`; what it dies of is in its
//! environment.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use contract::operation::OperationKind;
use engine::watch::{Moment, Watch};
use rustix::process::{Signal, getpid, kill_process};

/// The variable that says what the daemon dies of.
pub const VARIABLE: &str = "HARNESS_DEATH";

/// Before or after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The step is about to be made true.
    Before,
    /// It was made true, and nobody has been told.
    After,
}

/// Where a daemon dies: at the so many-th step, from 0, that it makes of operations of this kind. Commits count as steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The kind of operation, as the contract spells it.
    pub kind: String,
    /// Which step.
    pub step: usize,
    /// Before or after it.
    pub side: Side,
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(formatter, "{}:{}:{side}", self.kind, self.step)
    }
}

impl FromStr for Death {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not KIND:STEP:before or KIND:STEP:after");
        let mut parts = text.split(':');
        let (Some(kind), Some(step), Some(side), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            _ => return Err(wrong()),
        };
        Ok(Self { kind: kind.to_owned(), step: step.parse().map_err(|_| wrong())?, side })
    }
}

/// Ends the process there.
#[derive(Debug)]
pub struct MortalWatch {
    death: Death,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl MortalWatch {
    /// A watch over a whole life.
    pub fn new(death: Death) -> Self {
        Self { death, begun: AtomicUsize::new(0), ended: AtomicUsize::new(0) }
    }

    fn pass(&self, kind: OperationKind, side: Side, counter: &AtomicUsize) {
        if kind.as_str() != self.death.kind {
            return;
        }
        let step = counter.fetch_add(1, Ordering::Relaxed);
        if step == self.death.step && side == self.death.side {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            // The signal is on its way: nothing more is done meanwhile.
            loop {
                std::thread::park();
            }
        }
    }
}

impl Watch for MortalWatch {
    fn begins(&self, moment: Moment<'_>) {
        self.pass(moment.kind, Side::Before, &self.begun);
    }

    fn ended(&self, moment: Moment<'_>, _took: Duration) {
        self.pass(moment.kind, Side::After, &self.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_what_it_was_said_to_be() {
        let death = Death { kind: "create_machine".into(), step: 3, side: Side::After };
        assert_eq!(death.to_string().parse(), Ok(death));
        assert!("create_machine:x:after".parse::<Death>().is_err());
        assert!("create_machine:3:later".parse::<Death>().is_err());
    }
}
