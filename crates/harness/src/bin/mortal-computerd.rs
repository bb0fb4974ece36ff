//! `computerd`, until a certain step: then it ends, or its disk is full for as long.

use std::process::ExitCode;
use std::sync::Arc;

use engine::watch::{StepLog, Watch};
use harness::filling::{self, Filling, FillingWatch};
use harness::mortal::{self, Death, MortalWatch};

fn main() -> ExitCode {
    match watch() {
        Ok(watch) => hostd::program::run(watch),
        Err(error) => {
            eprintln!("mortal-computerd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As a launcher of its machines it has no trouble: they outlive it.
fn watch() -> Result<Arc<dyn Watch>, String> {
    if let Ok(death) = std::env::var(mortal::VARIABLE) {
        return Ok(Arc::new(MortalWatch::new(death.parse::<Death>()?)));
    }
    if let Ok(filling) = std::env::var(filling::VARIABLE) {
        return Ok(Arc::new(FillingWatch::new(filling.parse::<Filling>()?)));
    }
    Ok(Arc::new(StepLog))
}
