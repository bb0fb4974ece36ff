//! Snapshots of machines under Firecracker, and what is restored from them.

use contract::ErrorCode;

use super::support::{beyond, console, first, in_place};

#[test]
fn promise_p7_ten_clones_of_one_snapshot_run_beside_their_source() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let source = host.launch(place.request("box")?).await?;
        let counted = beyond(&host, &source, 5).await?;
        let taken = source.snapshot("saved").await?.snapshot;

        let names: Vec<String> = (0..10).map(|number| format!("clone-{number}")).collect();
        let restores = names.iter().map(|name| host.restore(&taken.id, name, &place.image));
        let clones = futures_util::future::try_join_all(restores).await?;

        for clone in &clones {
            let shown = first(&host, clone).await?;
            assert!(shown >= counted, "{} lost its memory: {shown} after {counted}", clone.id);
            assert!(!console(&host, clone).contains("BOOT"), "{} was booted", clone.id);
        }
        beyond(&host, &source, counted).await?;
        let error = host.client().delete_snapshot(&taken.id).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::InUse), "its memory is mapped");
        host.finish().await
    });
}

#[test]
fn promise_p5_snapshots_of_restored_machines_hold_over_generations() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let mut machine = host.launch(place.request("g0")?).await?;
        let mut counted = beyond(&host, &machine, 5).await?;
        for generation in 1..=4 {
            let taken = machine.snapshot(&format!("s{generation}")).await?;
            let next =
                host.restore(&taken.snapshot.id, &format!("g{generation}"), &place.image).await?;
            let shown = first(&host, &next).await?;
            assert!(shown >= counted, "generation {generation}: {shown} after {counted}");
            host.client().delete_machine(&machine.id).await?;
            counted = beyond(&host, &next, shown + 3).await?;
            machine = next;
        }
        host.finish().await
    });
}

#[test]
fn promise_p9_a_machine_started_from_its_disk_lets_go_of_its_snapshot() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let source = host.launch(place.request("box")?).await?;
        beyond(&host, &source, 3).await?;
        let taken = source.snapshot("saved").await?.snapshot;
        let clone = host.restore(&taken.id, "clone", &place.image).await?;

        client.stop_machine(&clone.id).await?;
        client.delete_snapshot(&taken.id).await?;
        client.start_machine(&clone.id, &harness::machine::running()).await?;

        beyond(&host, &clone, 3).await?;
        assert!(console(&host, &clone).contains("BOOT"));
        host.finish().await
    });
}
