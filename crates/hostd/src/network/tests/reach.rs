//! What a guest reaches, and who reaches it.

use std::net::Ipv4Addr;

use contract::machine::Egress;
use engine::port::Network;

use super::{
    guest::Guest,
    place::Expect::{Answer, Silence},
    world::{HOST, PORT, PUBLIC, UDP_PORT, in_world},
};
use crate::network::inner::{GATEWAY_ADDRESS, GUEST_ADDRESS};

#[test]
fn an_open_guest_reaches_public_addresses_as_the_host() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        let seen = guest.place.ask(PUBLIC, PORT, Answer).unwrap();
        assert_eq!(seen, HOST.to_string());
        let seen = guest.place.ask_udp(PUBLIC, UDP_PORT, Answer).unwrap();
        assert_eq!(seen, HOST.to_string());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_closed_slot_forwards_nothing_in_either_direction_promise_p8() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        let guest = Guest::plug(&slot);
        guest.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
        assert!(guest.place.ask(PUBLIC, PORT, Silence).is_err());
        assert!(world.host.ask(slot.runtime_address, PORT, Silence).is_err());
        let arrived = guest.arrived();
        guest.place.send_as(GUEST_ADDRESS, PUBLIC, UDP_PORT).unwrap();
        guest.until_arrived(arrived + 1);

        network.open(&slot, Egress::Open).await.unwrap();
        guest.place.ask_udp(PUBLIC, UDP_PORT, Answer).unwrap();
        assert_eq!(world.senders.seen(), [HOST], "what was sent while closed never arrived");
        world.host.ask(slot.runtime_address, PORT, Answer).unwrap();
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_guest_without_egress_reaches_nothing_and_answers_the_host() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::None).await.unwrap();
        let guest = Guest::plug(&slot);
        guest.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
        assert!(guest.place.ask(PUBLIC, PORT, Silence).is_err());
        assert!(guest.place.ask(GATEWAY_ADDRESS, 53, Silence).is_err());
        let seen = world.host.ask(slot.runtime_address, PORT, Answer).unwrap();
        assert_eq!(seen, GATEWAY_ADDRESS.to_string());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn taking_egress_away_cuts_what_begins_from_then_on() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        guest.place.ask(PUBLIC, PORT, Answer).unwrap();
        network.open(&slot, Egress::None).await.unwrap();
        assert!(guest.place.ask(PUBLIC, PORT, Silence).is_err());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn ten_guests_with_one_address_are_each_reached_at_their_own_promise_p7() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slots: Vec<_> = (0..10).map(|index| world.slot(index)).collect();
        let built = slots.iter().map(|slot| network.build(slot));
        futures_util::future::try_join_all(built).await.unwrap();
        let mut guests = Vec::new();
        for slot in &slots {
            network.open(slot, Egress::Open).await.unwrap();
            let guest = Guest::plug(slot);
            guest.place.echo_peer(GUEST_ADDRESS, 9_000 + u16::try_from(slot.index).unwrap());
            guests.push(guest);
        }
        for slot in &slots {
            let own = 9_000 + u16::try_from(slot.index).unwrap();
            let other = 9_000 + (own + 1) % 10;
            world.host.ask(slot.runtime_address, own, Answer).unwrap();
            assert!(world.host.ask(slot.runtime_address, other, Silence).is_err());
        }
        for guest in &guests {
            guest.place.ask(PUBLIC, PORT, Answer).unwrap();
        }
        drop(guests);
        for slot in &slots {
            network.destroy(slot).await.unwrap();
        }
        assert_eq!(world.remains(), Vec::<String>::new());
    });
}

#[test]
fn rules_that_were_flushed_come_back_with_the_next_ensure() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let before = world.host.command("nft", "list ruleset");
        world.host.command("nft", "flush ruleset");
        network.ensure_host().await.unwrap();
        assert_eq!(world.host.command("nft", "list ruleset"), before);
    });
}
