//! kill -9 of the daemon before and after every step of a create, a snapshot and a restore under Firecracker, and at instants between.

use std::time::Instant;

use contract::machine::Phase;
use contract::{MachineId, SnapshotId};
use harness::daemon::Daemon;
use harness::ends::{all_ends, end_during};
use harness::error::HarnessError;
use harness::machine::{machine_id, restore_request, running, snapshot_id};

use super::support::{beyond, in_place};

#[test]
fn promise_p2_p4_the_daemon_dies_before_and_after_every_step_of_a_create() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let began = Instant::now();
        let machine = host.launch(place.request("box")?).await?;
        let whole = began.elapsed();
        host.client().delete_machine(&machine.id).await?;
        all_ends("create_machine", whole, async |end| {
            let (client, request) = (host.client(), place.request("box")?);
            let has_died = end_during(&mut host, end, async || {
                drop(client.create_machine(&request, &running()).await);
            });
            let has_died = has_died.await?;
            absent_or_deleted(&host, &machine_id("box")?).await?;
            Ok(has_died)
        })
        .await?;
        host.launch(place.request("box")?).await?;
        host.finish().await
    });
}

#[test]
fn promise_p3_p4_the_daemon_dies_before_and_after_every_step_of_a_snapshot_and_the_source_runs_on()
{
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        let mut counted = beyond(&host, &machine, 3).await?;
        let began = Instant::now();
        machine.snapshot("first").await?;
        let whole = began.elapsed();
        all_ends("create_snapshot", whole, async |end| {
            let caller = machine.clone();
            let has_died = end_during(&mut host, end, async || {
                drop(caller.snapshot("saved").await);
            });
            let has_died = has_died.await?;
            counted = beyond(&host, &machine, counted).await?;
            absent_or_discarded(&host, &snapshot_id("saved")?).await?;
            Ok(has_died)
        })
        .await?;
        host.finish().await
    });
}

#[test]
fn promise_p2_p4_the_daemon_dies_before_and_after_every_step_of_a_restore() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        let counted = beyond(&host, &machine, 3).await?;
        let saved = machine.snapshot("saved").await?.snapshot.id;
        let began = Instant::now();
        let clone = host.restore(&saved, "clone", &place.image).await?;
        let whole = began.elapsed();
        host.client().delete_machine(&clone.id).await?;
        all_ends("restore_snapshot", whole, async |end| {
            let request = restore_request(&saved, "clone", &place.image)?;
            let client = host.client();
            let has_died = end_during(&mut host, end, async || {
                drop(client.restore_snapshot(&saved, &request, &running()).await);
            });
            let has_died = has_died.await?;
            absent_or_deleted(&host, &clone.id).await?;
            Ok(has_died)
        })
        .await?;
        beyond(&host, &machine, counted).await?;
        host.finish().await
    });
}

/// A machine is not there, or it runs; nothing between.
async fn absent_or_deleted(host: &Daemon, id: &MachineId) -> Result<(), HarnessError> {
    let machines = host.client().list_machines().await?;
    if let Some(machine) = machines.iter().find(|machine| machine.id == *id) {
        assert_eq!(machine.phase, Phase::Running, "{:?}", machine.error);
        host.client().delete_machine(id).await?;
    }
    Ok(())
}

/// A snapshot is whole or absent; whole ones are good for a check of every sum.
async fn absent_or_discarded(host: &Daemon, id: &SnapshotId) -> Result<(), HarnessError> {
    let client = host.client();
    let snapshots = client.list_snapshots().await?;
    if snapshots.iter().any(|snapshot| snapshot.id == *id) {
        let artifacts = client.show_snapshot(id).await?.artifacts;
        assert!(artifacts.iter().all(|artifact| artifact.sha256_hex.is_some()));
        client.delete_snapshot(id).await?;
        host.quiet().await?;
    }
    let dir = host.root().join("snapshots").join(id.as_str());
    assert!(!dir.exists(), "promise P2: {dir} without a record");
    Ok(())
}
