//! What a hostile guest, and a VMM that was taken over, cannot reach. Every target is first shown to be there for others.

use std::net::Ipv4Addr;

use contract::machine::Egress;
use engine::port::Network;

use super::{
    guest::Guest,
    place::{
        Expect::{Answer, Silence},
        Place,
    },
    world::{FORBIDDEN, HOST, HOST_PUBLIC, PORT, PUBLIC, RESOLVER, UDP_PORT, in_world},
};
use crate::network::inner::GATEWAY_ADDRESS;

#[test]
fn a_guest_reaches_no_address_of_the_host_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        world.internet.ask(HOST_PUBLIC, PORT, Answer).unwrap();
        for address in [slot.host_address, HOST, HOST_PUBLIC] {
            world.host.ask(address, PORT, Answer).unwrap();
            assert!(guest.place.ask(address, PORT, Silence).is_err(), "{address}");
        }
        for address in [GATEWAY_ADDRESS, slot.runtime_address] {
            assert!(guest.place.ask(address, PORT, Silence).is_err(), "{address}");
        }
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_guest_reaches_no_private_link_local_or_platform_address_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        for address in FORBIDDEN {
            world.host.ask(address, PORT, Answer).unwrap();
            assert!(guest.place.ask(address, PORT, Silence).is_err(), "{address}");
        }
        world.host.ask(RESOLVER, PORT, Answer).unwrap();
        assert!(guest.place.ask(RESOLVER, PORT, Silence).is_err());
        assert!(guest.place.ask(RESOLVER, 53, Silence).is_err());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_guest_reaches_no_neighbour_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let (one, other) = (world.slot(1), world.slot(2));
        for slot in [&one, &other] {
            network.build(slot).await.unwrap();
            network.open(slot, Egress::Open).await.unwrap();
        }
        let guest = Guest::plug(&one);
        let neighbour = Guest::plug(&other);
        neighbour.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
        world.host.ask(other.runtime_address, PORT, Answer).unwrap();
        for address in [other.runtime_address, other.host_address] {
            assert!(guest.place.ask(address, PORT, Silence).is_err(), "{address}");
        }
        // Not through the internet's side of the host either.
        guest.place.ip("address add 10.213.0.200/32 dev eth0");
        assert!(guest.place.ask(other.runtime_address, PORT, Silence).is_err());
        network.destroy(&one).await.unwrap();
        network.destroy(&other).await.unwrap();
    });
}

#[test]
fn a_guest_speaks_only_as_itself_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        let neighbour = world.slot(2).runtime_address;
        for forged in [Ipv4Addr::new(93, 184, 215, 99), neighbour, slot.runtime_address, HOST] {
            guest.place.ip(&format!("address add {forged}/32 dev eth0"));
            guest.place.send_as(forged, PUBLIC, UDP_PORT).unwrap();
        }
        // What comes later on the same way arrives, and nothing came before it.
        guest.place.ask_udp(PUBLIC, UDP_PORT, Answer).unwrap();
        assert_eq!(world.senders.seen(), [HOST]);
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn what_runs_inside_the_namespace_reaches_nothing_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let inside = Place::named(&slot.namespace);
        for address in [PUBLIC, slot.host_address, HOST, FORBIDDEN[0]] {
            assert!(inside.ask(address, PORT, Silence).is_err(), "{address}");
            // The kernel does not even let it out.
            assert!(inside.send_as(slot.runtime_address, address, UDP_PORT).is_err(), "{address}");
        }
        network.destroy(&slot).await.unwrap();
    });
}

/// As if the rules inside were gone: the host's table alone must hold.
#[test]
fn the_host_holds_the_bounds_alone_when_a_namespace_does_not_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let (slot, other) = (world.slot(1), world.slot(2));
        for slot in [&slot, &other] {
            network.build(slot).await.unwrap();
            network.open(slot, Egress::Open).await.unwrap();
        }
        let neighbour = Guest::plug(&other);
        neighbour.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
        let inside = Place::named(&slot.namespace);
        inside.command("nft", "flush ruleset");
        assert_eq!(inside.ask(PUBLIC, PORT, Answer).unwrap(), HOST.to_string());
        let targets = [slot.host_address, HOST, HOST_PUBLIC, RESOLVER, other.runtime_address];
        for address in targets.into_iter().chain(FORBIDDEN) {
            assert!(inside.ask(address, PORT, Silence).is_err(), "{address}");
        }
        inside.ip("address add 10.213.0.200/32 dev lo");
        inside.send_as(Ipv4Addr::new(10, 213, 0, 200), PUBLIC, UDP_PORT).unwrap();
        inside.ask_udp(PUBLIC, UDP_PORT, Answer).unwrap();
        assert_eq!(world.senders.seen(), [HOST]);
        network.destroy(&slot).await.unwrap();
        network.destroy(&other).await.unwrap();
    });
}

#[test]
fn nobody_outside_reaches_a_guest_through_the_hosts_forwarding_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        guest.place.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
        world.internet.ip("route add 10.213.0.0/24 via 192.0.2.2");
        world.host.ask(slot.runtime_address, PORT, Answer).unwrap();
        assert!(world.internet.ask(slot.runtime_address, PORT, Silence).is_err());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn ipv6_leads_nowhere_promise_p10() {
    in_world(async |world| {
        let network = world.network();
        network.ensure_host().await.unwrap();
        let slot = world.slot(1);
        network.build(&slot).await.unwrap();
        network.open(&slot, Egress::Open).await.unwrap();
        let guest = Guest::plug(&slot);
        guest.place.ip("address add fd00::2/64 dev eth0 nodad");
        let inside = Place::named(&slot.namespace);
        assert_eq!(inside.ip("-6 -o address show"), "");
        assert_eq!(world.host.ip(&format!("-6 -o address show dev {}", slot.host_interface)), "");
        network.destroy(&slot).await.unwrap();
    });
}
