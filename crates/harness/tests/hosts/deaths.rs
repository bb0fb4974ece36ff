//! kill -9 of the daemon at instants swept over each operation: whatever it was doing, the next one settles it.

use std::time::{Duration, Instant};

use contract::machine::Phase;
use contract::{MachineId, SnapshotId};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, machine_id, small, snapshot_id};
use harness::wait::until;

use super::support::{Place, beyond, count, in_place};

/// At how many instants of an operation the daemon is killed.
const INSTANTS: u32 = 8;
/// In which a guest that stood still has to run again, counted from the daemon being up (P3).
const RUNS_AGAIN: Duration = Duration::from_secs(60);

/// Kills the daemon this long into an operation, starts it again, and waits until everything is settled.
async fn die_during(
    host: &mut Daemon,
    after: Duration,
    operation: impl Future<Output = ()> + Send + 'static,
) -> Result<(), HarnessError> {
    let caller = tokio::spawn(operation);
    tokio::time::sleep(after).await;
    host.kill().await?;
    caller.abort();
    host.restart().await?;
    host.quiet().await
}

/// The instants of an operation that takes this long.
fn instants(whole: Duration) -> impl Iterator<Item = Duration> {
    (0..INSTANTS).map(move |step| whole * step / (INSTANTS - 1))
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
fn promise_p2_p4_the_daemon_dies_at_any_instant_of_a_create() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let whole = create_in_peace(place, &host).await?;
        for after in instants(whole) {
            let (client, request) = (host.client(), small("box", &place.image)?);
            die_during(&mut host, after, async move {
                drop(client.create_machine(&request, &harness::machine::running()).await);
            })
            .await?;
            let id = machine_id("box")?;
            if none_or_running(&host, &id).await? {
                host.client().delete_machine(&id).await?;
            }
        }
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
fn promise_p3_p4_the_daemon_dies_at_any_instant_of_a_snapshot_and_the_source_runs_on() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let mut value = count(&machine).await?;
        let began = Instant::now();
        machine.snapshot("first").await?;
        let whole = began.elapsed();
        for after in instants(whole) {
            let caller = machine.clone();
            die_during(&mut host, after, async move {
                drop(caller.snapshot("saved").await);
            })
            .await?;
            value = runs_again(&host, &machine, value).await?;
            discard(&host, &snapshot_id("saved")?).await?;
        }
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
fn promise_p2_p4_p8_the_daemon_dies_at_any_instant_of_a_restore() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let value = count(&machine).await?;
        let id = machine.snapshot("saved").await?.snapshot.id;
        let began = Instant::now();
        let clone = host.restore(&id, "clone", &place.image).await?;
        let whole = began.elapsed();
        host.client().delete_machine(&clone.id).await?;
        for after in instants(whole) {
            let request = harness::machine::restore_request(&id, "clone", &place.image)?;
            let (client, snapshot) = (host.client(), id.clone());
            die_during(&mut host, after, async move {
                let wait = harness::machine::running();
                drop(client.restore_snapshot(&snapshot, &request, &wait).await);
            })
            .await?;
            if none_or_running(&host, &clone.id).await? {
                beyond(&clone.through(&host), value).await?;
                host.client().delete_machine(&clone.id).await?;
            }
        }
        beyond(&machine.through(&host), value).await?;
        host.finish().await
    });
}
