//! kill -9 of the daemon at instants swept over a snapshot and a restore under Firecracker.

use std::time::{Duration, Instant};

use contract::machine::Phase;
use harness::machine::{restore_request, running, snapshot_id};

use super::support::{beyond, in_place};

const INSTANTS: u32 = 6;

#[test]
fn promise_p3_p4_the_daemon_dies_at_any_instant_of_a_snapshot_and_the_source_runs_on() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        let mut counted = beyond(&host, &machine, 3).await?;
        let began = Instant::now();
        machine.snapshot("first").await?;
        let whole = began.elapsed();
        for step in 0..INSTANTS {
            let (client, id) = (host.client(), machine.id.clone());
            let request = contract::snapshot::CreateSnapshotRequest::named(snapshot_id("saved")?);
            let caller = tokio::spawn(async move { client.create_snapshot(&id, &request).await });
            tokio::time::sleep(whole * step / (INSTANTS - 1)).await;
            host.kill().await?;
            caller.abort();
            host.restart().await?;
            host.quiet().await?;

            counted = beyond(&host, &machine, counted).await?;
            let snapshots = host.client().list_snapshots().await?;
            if snapshots.iter().any(|snapshot| snapshot.id.as_str() == "saved") {
                host.client().delete_snapshot(&snapshot_id("saved")?).await?;
            }
        }
        host.finish().await
    });
}

#[test]
fn promise_p2_p4_the_daemon_dies_at_any_instant_of_a_restore() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        beyond(&host, &machine, 3).await?;
        let saved = machine.snapshot("saved").await?.snapshot.id;
        let began = Instant::now();
        let clone = host.restore(&saved, "clone", &place.image).await?;
        let whole = began.elapsed();
        host.client().delete_machine(&clone.id).await?;
        for step in 0..INSTANTS {
            let (client, id) = (host.client(), saved.clone());
            let request = restore_request(&saved, "clone", &place.image)?;
            let caller =
                tokio::spawn(
                    async move { client.restore_snapshot(&id, &request, &running()).await },
                );
            tokio::time::sleep(whole.max(Duration::from_millis(1)) * step / (INSTANTS - 1)).await;
            host.kill().await?;
            caller.abort();
            host.restart().await?;
            host.quiet().await?;

            let machines = host.client().list_machines().await?;
            if let Some(found) = machines.iter().find(|found| found.id == clone.id) {
                assert_eq!(found.phase, Phase::Running, "{:?}", found.error);
                host.client().delete_machine(&clone.id).await?;
            }
        }
        host.finish().await
    });
}
