//! `computerd`, until a certain step.

use std::process::ExitCode;
use std::sync::Arc;

use harness::mortal::{Death, MortalWatch, VARIABLE};

fn main() -> ExitCode {
    // As a launcher of its machines it has no death: they outlive it.
    let death = std::env::var(VARIABLE).unwrap_or_else(|_| "none:0:before".to_owned());
    match death.parse::<Death>() {
        Ok(death) => hostd::program::run(Arc::new(MortalWatch::new(death))),
        Err(error) => {
            eprintln!("{VARIABLE}: {error}");
            ExitCode::FAILURE
        }
    }
}
