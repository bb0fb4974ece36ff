//! Create, stop, start, delete; a daemon that stops and comes back; two daemons on one machine.

use contract::machine::Phase;
use harness::machine::small;

use super::support::{beyond, count, in_place};

#[test]
fn promise_p2_a_machine_lives_its_life_and_leaves_nothing() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        assert_eq!(machine.exec("nproc").await?.trim(), "1");
        assert_eq!(machine.exec("cat /proc/sys/kernel/hostname").await?.trim(), "box");
        machine.exec("echo kept > /var/kept && sync").await?;

        let client = host.client();
        client.stop_machine(&machine.id).await?;
        assert_eq!(machine.show().await?.phase, Phase::Stopped);
        client.start_machine(&machine.id, &harness::machine::running()).await?;
        assert_eq!(machine.show().await?.phase, Phase::Running);
        assert_eq!(machine.exec("cat /var/kept").await?.trim(), "kept", "the disk stays");

        client.delete_machine(&machine.id).await?;
        client.delete_machine(&machine.id).await?;
        let again = host.launch(small("box", &place.image)?).await?;
        assert!(again.exec("cat /var/kept").await.is_err(), "promise P9: a new disk");
        host.finish().await
    });
}

#[test]
fn promise_p4_machines_outlive_a_graceful_stop_and_are_adopted_again() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let before = count(&machine).await?;
        host.stop().await?;
        host.restart().await?;
        let machine = machine.through(&host);
        assert_eq!(machine.show().await?.phase, Phase::Running);
        beyond(&machine, before).await?;
        host.finish().await
    });
}

#[test]
fn promise_p4_a_machine_whose_guest_powers_off_is_stopped_with_that_reason() {
    in_place(async |place| {
        let host = harness::daemon::Daemon::start_with(
            place.storage.path()?,
            "a",
            &place.image.images,
            &["deadlines.reconcile_interval_ms=1000"],
        )
        .await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        // The connection may go with the guest.
        drop(machine.exec("kill -USR2 1; echo o > /proc/sysrq-trigger").await);
        let deadline = std::time::Duration::from_secs(60);
        harness::wait::until("a machine that is retired", deadline, async || {
            let record = machine.show().await.ok()?;
            matches!(record.phase, Phase::Stopped | Phase::Failed).then_some(())
        })
        .await?;
        host.finish().await
    });
}

#[test]
fn two_daemons_with_roots_of_their_own_live_on_one_machine() {
    in_place(async |place| {
        let (a, b) = (place.host("a").await?, place.host("b").await?);
        let (left, right) = tokio::join!(
            a.launch(small("same-name", &place.image)?),
            b.launch(small("same-name", &place.image)?)
        );
        let (left, right) = (left?, right?);
        left.exec("echo a > /run/whose").await?;
        right.exec("echo b > /run/whose").await?;
        a.finish().await?;
        assert_eq!(right.exec("cat /run/whose").await?.trim(), "b", "b is untouched by a's end");
        b.finish().await
    });
}
