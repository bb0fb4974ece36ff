//! kill -9 of the daemon before and after every step of an operation, and at instants between: whatever it was doing, the next one
//! settles it.

use std::time::{Duration, Instant};

use contract::machine::Phase;
use contract::{MachineId, SnapshotId};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, machine_id, running, small, snapshot_id};
use harness::mortal::{Death, Side};
use harness::wait::until;

use super::support::{Place, beyond, count, in_place};

/// At how many instants of an operation the daemon is killed beside.
const INSTANTS: u32 = 3;
/// In which a guest that stood still has to run again, counted from the daemon being up (P3).
const RUNS_AGAIN: Duration = Duration::from_secs(60);

/// How one daemon ends.
enum End {
    At(Death),
    After(Duration),
}

/// Every end of an operation of this kind: before and after each step, until one comes too late to be the daemon's, then instants
/// of the `whole` time. `attempt` lets one daemon end so, and says whether it did.
async fn all_ends(
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
async fn end_during(
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

/// The machine is not there, or it runs; nothing between.
async fn none_or_running(host: &Daemon, id: &MachineId) -> Result<bool, HarnessError> {
    let machines = host.client().list_machines().await?;
    let Some(machine) = machines.into_iter().find(|machine| machine.id == *id) else {
        return Ok(false);
    };
    assert_eq!(machine.phase, Phase::Running, "{:?}", machine.error);
    Ok(true)
}

#[test]
fn promise_p2_p4_the_daemon_dies_before_and_after_every_step_of_a_create() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let whole = create_in_peace(place, &host).await?;
        let id = machine_id("box")?;
        all_ends("create_machine", whole, async |end| {
            let (client, request) = (host.client(), small("box", &place.image)?);
            let has_died = end_during(&mut host, end, async || {
                drop(client.create_machine(&request, &running()).await);
            });
            let has_died = has_died.await?;
            if none_or_running(&host, &id).await? {
                host.client().delete_machine(&id).await?;
            }
            Ok(has_died)
        })
        .await?;
        host.launch(small("box", &place.image)?).await?;
        host.finish().await
    });
}

async fn create_in_peace(place: &Place, host: &Daemon) -> Result<Duration, HarnessError> {
    let began = Instant::now();
    let machine = host.launch(small("box", &place.image)?).await?;
    let whole = began.elapsed();
    host.client().delete_machine(&machine.id).await?;
    Ok(whole)
}

#[test]
fn promise_p3_p4_the_daemon_dies_before_and_after_every_step_of_a_snapshot_and_the_source_runs_on()
{
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let mut value = count(&machine).await?;
        let began = Instant::now();
        machine.snapshot("first").await?;
        let whole = began.elapsed();
        all_ends("create_snapshot", whole, async |end| {
            let caller = machine.clone();
            let has_died = end_during(&mut host, end, async || {
                drop(caller.snapshot("saved").await);
            });
            let has_died = has_died.await?;
            value = runs_again(&host, &machine, value).await?;
            discard(&host, &snapshot_id("saved")?).await?;
            Ok(has_died)
        })
        .await?;
        host.finish().await
    });
}

async fn runs_again(host: &Daemon, machine: &Machine, value: u64) -> Result<u64, HarnessError> {
    let machine = machine.through(host);
    until("a source that runs again", RUNS_AGAIN, async || beyond(&machine, value).await.ok()).await
}

/// A snapshot is whole or absent; whole ones are good for a check of every sum.
async fn discard(host: &Daemon, id: &SnapshotId) -> Result<(), HarnessError> {
    let client = host.client();
    let snapshots = client.list_snapshots().await?;
    let dir = host.root().join("snapshots").join(id.as_str());
    if snapshots.iter().any(|snapshot| snapshot.id == *id) {
        let artifacts = client.show_snapshot(id).await?.artifacts;
        assert!(artifacts.iter().all(|artifact| artifact.sha256_hex.is_some()));
        client.delete_snapshot(id).await?;
        host.quiet().await?;
    }
    assert!(!dir.exists(), "promise P2: {dir} without a record");
    Ok(())
}

#[test]
fn promise_p2_p4_p8_the_daemon_dies_before_and_after_every_step_of_a_restore() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let value = count(&machine).await?;
        let id = machine.snapshot("saved").await?.snapshot.id;
        let began = Instant::now();
        let clone = host.restore(&id, "clone", &place.image).await?;
        let whole = began.elapsed();
        host.client().delete_machine(&clone.id).await?;
        all_ends("restore_snapshot", whole, async |end| {
            let request = harness::machine::restore_request(&id, "clone", &place.image)?;
            let client = host.client();
            let has_died = end_during(&mut host, end, async || {
                drop(client.restore_snapshot(&id, &request, &running()).await);
            });
            let has_died = has_died.await?;
            if none_or_running(&host, &clone.id).await? {
                beyond(&clone.through(&host), value).await?;
                host.client().delete_machine(&clone.id).await?;
            }
            Ok(has_died)
        })
        .await?;
        beyond(&machine.through(&host), value).await?;
        host.finish().await
    });
}
