//! `computerd`: turns this machine into a host for computers.

use std::process::ExitCode;
use std::sync::Arc;

use engine::watch::StepLog;

fn main() -> ExitCode {
    hostd::program::run(Arc::new(StepLog))
}
