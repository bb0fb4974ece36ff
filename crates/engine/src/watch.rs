//! Who is told of every step of every plan, before and after it: a log in a daemon, and in a test whoever ends the daemon there.

use std::time::Duration;

use contract::OperationId;
use contract::operation::OperationKind;
use tracing::debug;

/// One step of one operation.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The operation.
    pub operation: &'a OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The step's name, or `commit`.
    pub step: &'static str,
}

/// Is told of every step. It answers at once, and cannot change what happens.
pub trait Watch: Send + Sync {
    /// The step is about to be made true.
    fn begins(&self, moment: Moment<'_>);

    /// The step was made true, or failed.
    fn ended(&self, moment: Moment<'_>, took: Duration);
}

/// Writes how long each step took to the log, at level `debug`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepLog;

impl Watch for StepLog {
    fn begins(&self, _: Moment<'_>) {}

    fn ended(&self, moment: Moment<'_>, took: Duration) {
        let Moment { operation, kind, step } = moment;
        debug!(%operation, kind = kind.as_str(), step, took_us = took.as_micros(), "step");
    }
}
