//! Create, stop, start, delete; a daemon that is killed and comes back.

use contract::machine::Phase;
use harness::machine::running;
use harness::polled::ticks;

use super::support::{beyond, console, in_network, in_place, over_tcp};

#[test]
fn promise_p2_a_machine_boots_answers_stops_starts_and_leaves_nothing() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        let counted = beyond(&host, &machine, 5).await?;

        host.client().stop_machine(&machine.id).await?;
        let record = machine.show().await?;
        assert_eq!(record.phase, Phase::Stopped);
        let said = console(&host, &machine);
        assert!(said.contains("RESET"), "it was asked before it was ended: {said}");

        host.client().start_machine(&machine.id, &running()).await?;
        beyond(&host, &machine, 3).await?;
        let began_anew = ticks(&console(&host, &machine))?.first().copied().unwrap();
        assert!(began_anew < counted.max(5), "it booted: {began_anew}");
        host.client().delete_machine(&machine.id).await?;
        host.finish().await
    });
}

#[test]
fn promise_p4_a_machine_outlives_a_killed_daemon_and_is_adopted() {
    in_place(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(place.request("box")?).await?;
        let counted = beyond(&host, &machine, 3).await?;

        host.kill().await?;
        let counted = beyond(&host, &machine, counted + 3).await?;
        host.restart().await?;

        let machine = machine.through(&host);
        assert_eq!(machine.show().await?.phase, Phase::Running);
        machine.snapshot("saved").await?;
        beyond(&host, &machine, counted).await?;
        host.client().stop_machine(&machine.id).await?;
        host.finish().await
    });
}

#[test]
fn promise_p10_a_guest_answers_through_its_namespace_once_it_is_open() {
    in_network(async |place| {
        let host = place.host("a").await?;
        let (one, two) =
            tokio::join!(host.launch(place.request("one")?), host.launch(place.request("two")?));
        for machine in [one?, two?] {
            let told = over_tcp(&machine, 2222).await?;
            assert!(told < 100_000, "{told}");
            beyond(&host, &machine, told).await?;
        }
        host.finish().await
    });
}
