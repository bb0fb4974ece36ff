//! `make demo`: a computer's whole life in front of your eyes, on two hosts and a real object store.
//!
//! ```text
//!  host a: create -> work -> snapshot -> upload --> object store --> host b: restore, restore
//!             \-> the source works on                                      \-> both go on from the snapshot
//! ```
//! `stage` sets up what a person would have: an image, storage that clones files, two daemons, an object store. The
//! `story` then types `computer` commands, shows each as it is typed, and checks what it sees. Whatever happens, also at
//! ctrl-C, what was made goes.

mod machines;
mod outcome;
mod prompt;
mod stage;
mod story;
mod work;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::HarnessError;
use crate::program::missing;

pub use outcome::Outcome;

use stage::Stage;

/// Plays the demo; what it measured.
pub async fn play() -> Result<Outcome, HarnessError> {
    if let Some(what) = missing() {
        return Err(HarnessError::value("this machine cannot play the demo", what));
    }
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(HarnessError::io("wait for ctrl-C"))?;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(HarnessError::io("wait for SIGTERM"))?;
    // Dropping what plays removes all that it has made.
    tokio::select! {
        outcome = whole() => outcome,
        _ = interrupt.recv() => Err(HarnessError::value("interrupted", "what was made is removed")),
        _ = terminate.recv() => Err(HarnessError::value("terminated", "what was made is removed")),
    }
}

async fn whole() -> Result<Outcome, HarnessError> {
    let stage = Stage::set().await?;
    match story::tell(&stage).await {
        Ok(outcome) => {
            stage.clear().await?;
            Ok(outcome)
        }
        Err(error) => {
            stage.tell_logs();
            Err(error)
        }
    }
}
