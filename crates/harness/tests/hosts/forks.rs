//! Forks: many machines from one pause.

use contract::ErrorCode;
use contract::fork::{ForkAnswer, ForkRequest};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{Machine, machine_id, running, small};
use harness::wait::until;
use std::collections::BTreeSet;
use std::time::Duration;

use super::support::{beyond, count, counted, in_place};

/// The children that run.
fn born(host: &Daemon, answer: &ForkAnswer) -> Result<Vec<Machine>, HarnessError> {
    let of = |child: &contract::fork::ForkedMachine| match (&child.machine, &child.error) {
        (Some(machine), None) => host.machine(machine.clone()),
        (_, error) => Err(HarnessError::value(child.machine_id.to_string(), format!("{error:?}"))),
    };
    answer.children.iter().map(of).collect()
}

#[test]
fn promise_p7_p8_p9_children_of_a_running_machine_go_on_as_themselves_and_its_snapshot_goes_with_them()
 {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let source = host.launch(small("box", &place.image)?).await?;
        let before = count(&source).await?;

        let request = ForkRequest { count: Some(2), ..ForkRequest::default() };
        let answer = client.fork_machine(&source.id, &request, &running()).await?;
        println!("paused {} ms, frozen {} ms", answer.pause_ms, answer.frozen_ms);
        let children = born(&host, &answer)?;
        assert_eq!(children.len(), 2);

        let mut identities = BTreeSet::new();
        for machine in children.iter().chain([&source]) {
            let now = counted(machine).await?;
            assert!(now >= before, "{} is at {now}, and the fork was after {before}", machine.id);
            beyond(machine, now).await?;
            let seen =
                machine.exec("cat /etc/machine-id /proc/sys/kernel/random/uuid; hostname").await?;
            identities.extend(seen.lines().map(str::to_owned));
        }
        assert_eq!(identities.len(), 9, "machine-id, randomness and host name of each are its own");

        // The snapshot of the fork is no caller's, and stays for as long as a child maps it.
        assert_eq!(client.list_snapshots().await?, []);
        let held = client.delete_snapshot(&answer.snapshot_id).await.unwrap_err();
        assert_eq!(held.code(), Some(ErrorCode::InUse));
        client.delete_machine(&source.id).await?;
        for child in &children {
            child.exec("true").await?;
            client.delete_machine(&child.id).await?;
        }
        client.delete_snapshot(&answer.snapshot_id).await?;
        host.finish().await
    });
}

#[test]
fn promise_p7_p14_children_of_a_snapshot_with_memory_of_their_own_can_be_snapshotted_and_one_that_fails_fails_alone()
 {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let source = host.launch(small("box", &place.image)?).await?;
        let taken = source.snapshot("saved").await?;

        let request = ForkRequest {
            machine_ids: vec![machine_id("one")?, source.id.clone()],
            own_memory: true,
            ..ForkRequest::default()
        };
        let mut answer = client.fork_snapshot(&taken.snapshot.id, &request, &running()).await?;
        let refused = answer.children.pop().and_then(|child| child.error);
        assert_eq!(refused.map(|error| error.code), Some(ErrorCode::Exists));
        let children = born(&host, &answer)?;
        children[0].snapshot("again").await?;
        source.exec("true").await?;
        host.finish().await
    });
}

#[test]
fn promise_p3_a_snapshot_that_would_stand_still_too_long_is_given_up_and_its_machine_runs_on() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let source = host.launch(small("box", &place.image)?).await?;
        let before = count(&source).await?;

        // No pause of a real machine is over within a millisecond.
        let request =
            ForkRequest { count: Some(1), max_pause_ms: Some(1), ..ForkRequest::default() };
        let refused = client.fork_machine(&source.id, &request, &running()).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::PauseExceeded));
        beyond(&source, before).await?;
        assert_eq!(client.list_machines().await?.len(), 1);

        let request = ForkRequest { max_pause_ms: Some(5_000), ..request };
        let answer = client.fork_machine(&source.id, &request, &running()).await?;
        assert!(answer.pause_ms <= 5_000);
        for child in born(&host, &answer)? {
            client.delete_machine(&child.id).await?;
        }
        until("the snapshot of the fork to be free", Duration::from_secs(30), async || {
            client.delete_snapshot(&answer.snapshot_id).await.ok()
        })
        .await?;
        host.finish().await
    });
}
