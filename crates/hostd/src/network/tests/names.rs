//! Guests resolve names at their gateway, whoever answers on the host.

use std::net::Ipv4Addr;

use contract::machine::Egress;
use engine::{port::Network, record::Slot};

use super::{
    guest::Guest,
    place::{
        Expect::{Answer, Silence},
        Place,
    },
    world::{HOST, PORT, RESOLVER, in_world},
};
use crate::network::{LinuxNetwork, NetworkSettings, inner::GATEWAY_ADDRESS};

async fn opened(network: &LinuxNetwork, slot: &Slot) -> Guest {
    network.ensure_host().await.unwrap();
    network.build(slot).await.unwrap();
    network.open(slot, Egress::Open).await.unwrap();
    Guest::plug(slot)
}

fn resolve(guest: &Place) -> [String; 2] {
    [
        guest.ask_udp(GATEWAY_ADDRESS, 53, Answer).unwrap(),
        guest.ask(GATEWAY_ADDRESS, 53, Answer).unwrap(),
    ]
}

#[test]
fn a_resolver_at_a_private_address_answers_and_serves_nothing_else() {
    in_world(async |world| {
        let network = world.network();
        let slot = world.slot(1);
        let guest = opened(&network, &slot).await;
        assert_eq!(resolve(&guest.place), [HOST.to_string(), HOST.to_string()]);
        assert!(guest.place.ask(RESOLVER, 53, Silence).is_err());
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn a_resolver_on_the_hosts_loopback_answers_and_no_other_port_there_does_promise_p10() {
    in_world(async |world| {
        world.host.echo_peer(Ipv4Addr::LOCALHOST, 53);
        let network = LinuxNetwork::new(NetworkSettings {
            resolvers: vec![Ipv4Addr::LOCALHOST],
            ..world.settings.clone()
        })
        .unwrap();
        let slot = world.slot(1);
        let guest = opened(&network, &slot).await;
        let local = Ipv4Addr::LOCALHOST.to_string();
        assert_eq!(resolve(&guest.place), [local.clone(), local]);

        // Even from inside a namespace without rules, the loopback is reached for names only.
        let inside = Place::named(&slot.namespace);
        inside.command("nft", "flush ruleset");
        inside.ip("address flush dev lo");
        inside.ip(&format!("route add 127.0.0.0/8 via {}", slot.host_address));
        world.host.ask(Ipv4Addr::LOCALHOST, PORT, Answer).unwrap();
        for port in [PORT, 53] {
            assert!(inside.ask(Ipv4Addr::LOCALHOST, port, Silence).is_err(), "{port}");
        }
        network.destroy(&slot).await.unwrap();
    });
}

#[test]
fn several_resolvers_take_turns() {
    in_world(async |world| {
        let second = Ipv4Addr::new(10, 99, 0, 54);
        world.internet.ip(&format!("address add {second}/32 dev lo"));
        let network = LinuxNetwork::new(NetworkSettings {
            resolvers: vec![RESOLVER, second],
            ..world.settings.clone()
        })
        .unwrap();
        let slot = world.slot(1);
        let guest = opened(&network, &slot).await;
        // The second one answers nothing, so every other query fails.
        let answers =
            (0..4).filter(|_| guest.place.ask_udp(GATEWAY_ADDRESS, 53, Silence).is_ok()).count();
        assert_eq!(answers, 2);
        network.destroy(&slot).await.unwrap();
    });
}
