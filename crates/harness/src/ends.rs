//! Every way in which a daemon can be cut during an operation: before and after each step, and at instants between.

use std::time::Duration;

use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::mortal::{Death, Side};

/// At how many instants of an operation the daemon is killed beside.
const INSTANTS: u32 = 3;
/// How one daemon ends.
#[derive(Debug)]
pub enum End {
    /// By itself, at a step.
    At(Death),
    /// Killed, so long after the operation was asked for.
    After(Duration),
}

/// Every end of an operation of this kind: before and after each step, until one comes too late to be the daemon's, then instants
/// of the `whole` time. `attempt` lets one daemon end so, and says whether it did.
///
/// # Errors
/// Those of `attempt`.
pub async fn all_ends(
    kind: &str,
    whole: Duration,
    mut attempt: impl AsyncFnMut(End) -> Result<bool, HarnessError>,
) -> Result<(), HarnessError> {
    let mut steps = 0;
    loop {
        let death = |side| End::At(Death { kind: kind.to_owned(), step: steps, side });
        let has_died = attempt(death(Side::Before)).await?;
        assert_eq!(attempt(death(Side::After)).await?, has_died, "a step begins and ends");
        if !has_died {
            break;
        }
        steps += 1;
    }
    // Its directories, its VMM, its commit: no plan has fewer.
    assert!(steps >= 5, "{kind} has only {steps} steps");
    for instant in 1..=INSTANTS {
        attempt(End::After(whole * instant / (INSTANTS + 1))).await?;
    }
    Ok(())
}

/// Lets a daemon end during an operation, starts it again, and waits until everything is settled. Whether it ended before the
/// operation was through.
///
/// # Errors
/// When a daemon does not come back.
pub async fn end_during(
    host: &mut Daemon,
    end: End,
    operation: impl AsyncFnOnce(),
) -> Result<bool, HarnessError> {
    let has_died = match end {
        End::At(death) => {
            // What an operation before left to be done is not this one's.
            host.quiet().await?;
            host.stop().await?;
            host.restart_mortal(&death).await?;
            operation().await;
            // What was answered may still have steps to come.
            host.died_or_quiet().await?
        }
        End::After(instant) => {
            // The answer is not waited for: the daemon that would give it is gone.
            let _too_late = tokio::time::timeout(instant, operation()).await.is_err();
            true
        }
    };
    host.kill().await?;
    host.restart().await?;
    host.quiet().await?;
    Ok(has_died)
}
