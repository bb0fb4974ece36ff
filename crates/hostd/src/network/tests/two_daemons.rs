//! Two daemons with roots of their own share a host.

use std::net::Ipv4Addr;

use contract::machine::Egress;
use engine::{
    port::Network,
    record::{AddressBlock, Slot},
};

use super::{
    guest::Guest,
    place::Expect::{Answer, Silence},
    world::{PORT, PUBLIC, in_world},
};
use crate::network::{LinuxNetwork, NetworkSettings, namespace};

#[test]
fn two_daemons_on_one_host_see_only_their_own_promise_p1() {
    in_world(async |world| {
        let other_settings = NetworkSettings {
            host_id: format!("{:08x}", fastrand::u32(..)),
            block: AddressBlock { first: Ipv4Addr::new(10, 214, 0, 0), prefix_length: 24 },
            ..world.settings.clone()
        };
        let other_slot = Slot::new(&other_settings.host_id, other_settings.block, 300_000, 1);
        let (one, other) = (world.network(), LinuxNetwork::new(other_settings).unwrap());
        let one_slot = world.slot(2);
        let mut guests = Vec::new();
        for (network, slot) in [(&one, &one_slot), (&other, &other_slot)] {
            network.ensure_host().await.unwrap();
            network.build(slot).await.unwrap();
            network.open(slot, Egress::Open).await.unwrap();
            let guest = Guest::plug(slot);
            guest.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
            guest.place.ask(PUBLIC, PORT, Answer).unwrap();
            guests.push(guest);
        }
        assert_eq!(one.carried_slots().await.unwrap(), [2]);
        assert_eq!(other.carried_slots().await.unwrap(), [1]);
        world.host.ask(other_slot.runtime_address, PORT, Answer).unwrap();
        assert!(guests[0].place.ask(other_slot.runtime_address, PORT, Silence).is_err());
        assert!(guests[1].place.ask(one_slot.runtime_address, PORT, Silence).is_err());

        // What one releases, the other keeps.
        other.release_host().await.unwrap();
        assert_eq!(namespace::names_with_prefix(&other_slot.namespace).unwrap(), [""; 0]);
        guests[0].place.ask(PUBLIC, PORT, Answer).unwrap();
        one.release_host().await.unwrap();
        assert_eq!(world.remains(), [""; 0]);
        assert_eq!(world.host.command("nft", "list ruleset"), "");
    });
}

#[test]
fn a_block_in_which_another_daemon_has_a_machine_is_refused_promise_p13() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        network.build(&world.slot(1)).await.unwrap();
        let settings = NetworkSettings { host_id: "ffffffff".to_owned(), ..world.settings.clone() };
        let refused = LinuxNetwork::new(settings).unwrap().ensure_host().await.unwrap_err();
        assert!(refused.chain().contains("10.213.0.0/24"), "{}", refused.chain());
        network.destroy(&world.slot(1)).await.unwrap();
    });
}
