//! kill -9 of the daemon before and after every step of an operation, and at instants between: whatever it was doing, the next one
//! settles it.

use std::time::{Duration, Instant};

use contract::machine::Phase;
use contract::{MachineId, SnapshotId};
use harness::daemon::Daemon;
use harness::ends::{all_ends, end_during};
use harness::error::HarnessError;
use harness::machine::{Machine, machine_id, running, small, snapshot_id};
use harness::wait::until;

use super::support::{Place, beyond, count, in_place};

/// In which a guest that stood still has to run again, counted from the daemon being up (P3).
const RUNS_AGAIN: Duration = Duration::from_secs(60);

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
