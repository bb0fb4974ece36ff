//! Snapshots of machines at work, and what is restored from them.

use std::collections::HashSet;
use std::time::Duration;

use contract::ErrorCode;
use harness::error::HarnessError;
use harness::machine::{Machine, small};

use super::support::{beyond, count, counted, in_place};

/// What must be each machine's own (P8).
async fn traits(machine: &Machine) -> Result<Vec<String>, HarnessError> {
    let command =
        "cat /proc/sys/kernel/hostname /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1";
    let text = machine.exec(command).await?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

#[test]
fn promise_p7_p8_a_snapshot_is_restored_twice_while_its_source_runs_on_and_no_two_are_twins() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let source = host.launch(small("box", &place.image)?).await?;
        let before = count(&source).await?;
        let taken = source.snapshot("saved").await?;
        assert!(taken.snapshot.frozen_ms >= taken.snapshot.pause_ms);
        beyond(&source, before).await?;

        let id = taken.snapshot.id;
        let (one, two) = tokio::join!(
            host.restore(&id, "one", &place.image),
            host.restore(&id, "two", &place.image)
        );
        let machines = [source, one?, two?];
        let mut seen = HashSet::new();
        for machine in &machines {
            let value = counted(machine).await?;
            assert!(value >= before, "{} lost its memory: {value} after {before}", machine.id);
            beyond(machine, value).await?;
            for own in traits(machine).await? {
                assert!(seen.insert(own.clone()), "promise P8: {own} of {} twice", machine.id);
            }
            let host_now = jiff::Timestamp::now().as_second();
            let guest_now: i64 = machine.exec("date +%s").await?.trim().parse().unwrap();
            assert!((host_now - guest_now).abs() <= 2, "the clock of {}", machine.id);
        }
        host.finish().await
    });
}

#[test]
fn promise_p5_a_restored_machine_is_snapshotted_and_restored_again_over_generations() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let mut machine = host.launch(small("g0", &place.image)?).await?;
        let mut value = count(&machine).await?;
        machine.exec("dd if=/dev/urandom of=/var/data bs=64k count=16 2>/dev/null; sync").await?;
        let sum = machine.exec("sha256sum < /var/data").await?;
        for generation in 1..=4 {
            let taken = machine.snapshot(&format!("s{generation}")).await?;
            let next =
                host.restore(&taken.snapshot.id, &format!("g{generation}"), &place.image).await?;
            host.client().delete_machine(&machine.id).await?;
            let now = counted(&next).await?;
            assert!(now >= value, "generation {generation}: {now} after {value}");
            assert_eq!(next.exec("sha256sum < /var/data").await?, sum);
            value = beyond(&next, now).await?;
            machine = next;
        }
        host.finish().await
    });
}

#[test]
fn promise_p9_a_snapshot_outlives_its_machine_and_its_name_is_free_after_delete() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let machine = host.launch(small("box", &place.image)?).await?;
        let taken = machine.snapshot("saved").await?;
        let again = machine.snapshot("saved").await.unwrap_err();
        assert!(again.chain().contains("exists"), "{}", again.chain());
        client.delete_machine(&machine.id).await?;
        assert_eq!(client.list_machine_snapshots(&machine.id).await?.len(), 1);

        let restored = host.restore(&taken.snapshot.id, "box", &place.image).await?;
        client.delete_snapshot(&taken.snapshot.id).await?;
        let gone = client.delete_snapshot(&taken.snapshot.id).await.unwrap_err();
        assert_eq!(gone.code(), Some(ErrorCode::NotFound));
        restored.exec("true").await?;
        restored.snapshot("saved").await?;
        host.finish().await
    });
}

#[test]
fn promise_p6_a_snapshot_whose_file_was_changed_is_not_restored() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let taken = machine.snapshot("saved").await?;
        host.quiet().await?;
        let file = host.root().join("snapshots/saved/memory.bin");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let refused = host.restore(&taken.snapshot.id, "clone", &place.image).await;
        assert!(refused.is_err(), "another inode with the same bytes is not what was sealed");
        assert!(host.client().list_machines().await?.len() == 1, "nothing of the clone is left");
        harness::wait::until("the source to answer", Duration::from_secs(30), async || {
            machine.exec("true").await.ok()
        })
        .await?;
        host.finish().await
    });
}
