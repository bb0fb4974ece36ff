//! Slots come and go whole.

use std::time::{Duration, Instant};

use contract::machine::Egress;
use engine::port::Network;

use super::{place::Place, world::in_world};
use crate::network::{conformance, netlink::Netlink, sys};

#[test]
fn the_kernels_network_behaves_as_every_network_must() {
    in_world(async |world| {
        conformance::run(&world.network(), |index| world.slot(index)).await;
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn destroy_leaves_no_link_namespace_or_rule_promise_p2() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let before = world.host.command("nft", "list ruleset");
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        assert!(!world.remains().is_empty());
        network.destroy(&slot).await.unwrap();
        assert_eq!(world.remains(), Vec::<String>::new());
        assert_eq!(world.host.command("nft", "list ruleset"), before);
    });
}

#[test]
fn a_half_built_slot_is_carried_destroyed_and_built_again_promise_p2() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let only_a_link = world.slot(1);
        let interface = &only_a_link.host_interface;
        world.host.ip(&format!("link add {interface} type veth peer name other"));
        let only_a_name = world.slot(2);
        let path = format!("/run/netns/{}", only_a_name.namespace);
        std::fs::write(&path, "").unwrap();
        assert_eq!(network.carried_slots().await.unwrap(), [1, 2]);

        for slot in [&only_a_link, &only_a_name] {
            network.destroy(slot).await.unwrap();
        }
        assert_eq!(network.carried_slots().await.unwrap(), Vec::<u32>::new());
        std::fs::write(&path, "").unwrap();
        network.build(&only_a_name).await.unwrap();
        network.destroy(&only_a_name).await.unwrap();
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn a_slot_that_a_machine_had_is_never_given_again() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        Place::named(&slot.namespace).ip("link set lo mtu 12345");
        network.build(&slot).await.unwrap();
        let links = Place::named(&slot.namespace).ip("link show lo");
        assert!(!links.contains("12345"), "{links}");
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn what_others_made_is_left_alone_promise_p1() {
    in_world(async |world| {
        let table =
            "add table ip others; add chain ip others c { type filter hook forward priority 0; }";
        world.host.run(|| {
            let status = std::process::Command::new("nft").arg(table).status();
            assert!(status.unwrap().success());
        });
        let before = world.host.command("nft", "list table ip others");
        let stranger = format!("{}x", world.prefix());
        world.host.ip(&format!("link add {stranger} type veth peer name other"));

        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        assert_eq!(network.carried_slots().await.unwrap(), [1]);
        network.destroy(&slot).await.unwrap();
        assert_eq!(world.host.command("nft", "list table ip others"), before);
        assert!(Netlink::open().unwrap().find(&stranger).await.unwrap().is_some());
    });
}

#[test]
fn the_tap_belongs_to_the_slots_uid_and_its_gateway_never_changes() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        let inside = Place::named(&slot.namespace);
        let tap = inside.ip("-d link show tap0");
        assert!(tap.contains("user 200001"), "{tap}");
        assert!(tap.contains("06:00:ac:10:00:01"), "{tap}");
        let neighbours = inside.ip("neighbour show dev tap0");
        assert!(
            neighbours.contains("172.16.0.2 lladdr 06:00:ac:10:00:02 PERMANENT"),
            "{neighbours}"
        );
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_slot_that_something_inside_still_uses_can_be_destroyed() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        let inside = Place::named(&slot.namespace);
        let tap = inside.run(|| sys::open_tap("tap0").unwrap());
        network.destroy(&slot).await.unwrap();
        assert_eq!(world.remains(), Vec::<String>::new());
        network.build(&slot).await.unwrap();
        network.destroy(&slot).await.unwrap();
        drop(tap);
    });
}

/// The bound is generous, for machines that run other tests too; the figures are printed.
#[test]
fn building_a_slot_takes_milliseconds() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let mut costs: Vec<[Duration; 3]> = Vec::new();
        for index in 0..10 {
            let slot = world.slot(index);
            let begun = Instant::now();
            network.build(&slot).await.unwrap();
            let built = begun.elapsed();
            network.open(&slot, Egress::Open).await.unwrap();
            let opened = begun.elapsed();
            network.destroy(&slot).await.unwrap();
            costs.push([built, opened - built, begun.elapsed() - opened]);
        }
        let median = |which: usize| {
            let mut times: Vec<Duration> = costs.iter().map(|cost| cost[which]).collect();
            times.sort();
            times[times.len() / 2]
        };
        println!("build {:?}, open {:?}, destroy {:?}", median(0), median(1), median(2));
        assert!(median(0) < Duration::from_millis(500), "{costs:?}");
    });
}
