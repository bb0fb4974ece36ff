//! What the daemon does unasked: reconcile, keep slots warm, look at snapshots again.

use std::sync::Arc;
use std::time::Duration;

use engine::plan::{Change, Plan};
use engine::port::{CheckDepth, Fault, PortError};
use engine::record::SnapshotState;
use tokio::sync::oneshot;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::http::{Api, Moment};
use crate::network::LinuxNetwork;

/// How long the warm pool lets operations go first before it is filled again.
const OPERATIONS_FIRST: Duration = Duration::from_secs(1);

/// The first is at once.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next of them; false when the daemon is ending.
async fn next(ticks: &mut Interval, ending: &CancellationToken) -> bool {
    tokio::select! {
        () = ending.cancelled() => false,
        _ = ticks.tick() => true,
    }
}

/// Compares records with what is, at once and then again and again. `settled` hears of the end of the first pass.
pub async fn reconcile(
    api: Api,
    every: Duration,
    settled: oneshot::Sender<()>,
    ending: CancellationToken,
) {
    let mut ticks = ticks(every);
    let mut settled = Some(settled);
    while next(&mut ticks, &ending).await {
        engine::reconcile::reconcile(&api.runner, api.mint.as_ref()).await;
        if settled.take().is_some_and(|settled| settled.send(()).is_err()) {
            debug!("listening began before the first pass was through");
        }
    }
}

/// Keeps the slots ready that plans will take next: after every operation, and now and then in case one could not be built.
pub async fn keep_warm(
    api: Api,
    network: Arc<LinuxNetwork>,
    slots: usize,
    every: Duration,
    ending: CancellationToken,
) {
    let mut ended = 0;
    let mut ticks = ticks(every);
    loop {
        tokio::select! {
            () = ending.cancelled() => break,
            _ = ticks.tick() => {}
            now = api.runner.ended_after(ended) => {
                ended = now;
                // Making a namespace holds locks that operations need.
                if timeout(OPERATIONS_FIRST, api.runner.quiet()).await.is_err() {
                    debug!("operations go on; making slots beside them");
                }
            }
        }
        let host = api.runner.host();
        match Moment::gather(host, api.room.as_ref()).await {
            Ok(moment) => {
                let facts = moment.facts(host, &api.mint.operation_id(), 0);
                // What a plan is about to take stays warm until it does.
                let planned = facts.open.iter().flat_map(Plan::built_slots).cloned();
                let wanted: Vec<_> = facts.free_slots().take(slots).chain(planned).collect();
                network.keep_warm(&wanted).await;
            }
            Err(error) => warn!(error = error.chain(), "cannot tell which slots to keep warm"),
        }
    }
    network.keep_warm(&[]).await;
}

/// Deletes snapshots that nobody keeps any more, again and again.
pub async fn collect(api: Api, every: Duration, ending: CancellationToken) {
    let mut ticks = ticks(every);
    while next(&mut ticks, &ending).await {
        api.collect().await;
    }
}

/// Hashes one snapshot after the other again, and quarantines what has changed (promise P6).
pub async fn scrub(api: Api, every: Duration, ending: CancellationToken) {
    let mut ticks = ticks(every);
    // The first tick is at once, when there is other work.
    ticks.tick().await;
    let mut turn = 0_usize;
    while next(&mut ticks, &ending).await {
        if let Err(error) = scrub_one(&api, turn).await {
            error!(error = error.chain(), "a snapshot could not be looked at");
        }
        turn = turn.wrapping_add(1);
    }
}

async fn scrub_one(api: &Api, turn: usize) -> Result<(), PortError> {
    let host = api.runner.host();
    let mut snapshots = host.journal.snapshots().await?;
    snapshots.retain(|snapshot| snapshot.state == SnapshotState::Complete);
    let Some(index) = turn.checked_rem(snapshots.len()) else { return Ok(()) };
    let snapshot = snapshots.swap_remove(index).origin.snapshot;
    let dir = host.settings.layout.snapshot(&snapshot);
    match host.chunks.check_sealed(&dir, CheckDepth::Full).await {
        Ok(()) => {
            debug!(%snapshot, "is as it was sealed");
            Ok(())
        }
        Err(error) if error.fault == Fault::Refused => {
            let reason = error.chain();
            error!(%snapshot, reason, "is not as it was sealed: quarantined");
            host.journal.apply(&Change::SnapshotQuarantined { snapshot, reason }).await
        }
        // Deleted meanwhile.
        Err(error) if error.fault == Fault::Absent => Ok(()),
        Err(error) => Err(error),
    }
}
