//! Slots built ahead.

use std::os::unix::fs::MetadataExt;

use contract::machine::Egress;
use engine::{port::Network, record::Slot};

use super::{
    guest::Guest,
    place::Expect::Answer,
    world::{PORT, PUBLIC, in_world},
};
use crate::network::netlink::Netlink;

/// Which namespace the name leads to.
fn identity(slot: &Slot) -> u64 {
    std::fs::metadata(format!("/run/netns/{}", slot.namespace)).unwrap().ino()
}

#[test]
fn a_warm_slot_is_taken_as_it_is_and_then_counts_as_carried() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.keep_warm(std::slice::from_ref(&slot)).await;
        assert_eq!(network.carried_slots().await.unwrap(), Vec::<u32>::new());
        let warm = identity(&slot);
        network.build(&slot).await.unwrap();
        assert_eq!(identity(&slot), warm);
        assert_eq!(network.carried_slots().await.unwrap(), [1]);
        network.open(&slot, Egress::Open).await.unwrap();
        Guest::plug(&slot).place.ask(PUBLIC, PORT, Answer).unwrap();
        network.destroy(&slot).await.unwrap();
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn the_pool_leaves_alone_what_a_machine_has_taken() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slots = [world.slot(1), world.slot(2)];
        network.keep_warm(&slots).await;
        network.build(&slots[0]).await.unwrap();
        let taken = identity(&slots[0]);
        network.keep_warm(&slots).await;
        assert_eq!(identity(&slots[0]), taken);
        network.keep_warm(&[]).await;
        assert_eq!(identity(&slots[0]), taken);
        assert_eq!(network.carried_slots().await.unwrap(), [1]);
        network.destroy(&slots[0]).await.unwrap();
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn after_a_crash_warm_slots_are_adopted_or_swept_promise_p4() {
    in_world(async |world| {
        let before = world.network();
        before.ensure_host().await.unwrap();
        let slots = [world.slot(1), world.slot(2)];
        before.keep_warm(&slots).await;
        let warm = identity(&slots[0]);
        drop(before);

        let network = world.network();
        assert_eq!(network.carried_slots().await.unwrap(), [1, 2]);
        network.keep_warm(&slots[..1]).await;
        assert_eq!(identity(&slots[0]), warm);
        assert_eq!(network.carried_slots().await.unwrap(), [2]);
        network.destroy_orphan(2).await.unwrap();
        network.keep_warm(&[]).await;
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn a_warm_slot_with_another_uid_is_built_anew() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.keep_warm(std::slice::from_ref(&slot)).await;
        let warm = identity(&slot);
        let renumbered = Slot { uid: 300_000, ..slot };
        network.build(&renumbered).await.unwrap();
        assert_ne!(identity(&renumbered), warm);
        network.destroy(&renumbered).await.unwrap();
    });
}

#[test]
fn a_slot_whose_building_was_cut_short_is_built_anew_promise_p4() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.keep_warm(std::slice::from_ref(&slot)).await;
        let warm = identity(&slot);
        // The mark is the last thing that building makes.
        let netlink = Netlink::open().unwrap();
        netlink.set_alias(&slot.host_interface, "").await.unwrap();
        network.build(&slot).await.unwrap();
        assert_ne!(identity(&slot), warm);
        network.destroy(&slot).await.unwrap();
    });
}
