//! The rules by value, one object a line: `golden/*.json`. `nft -c -f` accepts each of these files.

use std::net::Ipv4Addr;

use contract::machine::Egress;
use engine::record::{AddressBlock, Slot};
use nftables::schema::Nftables;
use serde_json::Value;

use super::{HostRules, Ipv4Range, SlotRules};

const BLOCK: AddressBlock = AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 16 };

fn slot_rules(egress: Egress) -> Nftables<'static> {
    let slot = Slot::new("0123abcd", BLOCK, 200_000, 7);
    SlotRules { slot: &slot, egress }.render()
}

fn host_rules(resolvers: &[[u8; 4]]) -> HostRules {
    HostRules {
        host_id: "0123abcd".to_owned(),
        interface_prefix: "c0123a-".to_owned(),
        block: Ipv4Range::from(BLOCK),
        egress_interface: Some("eth0".to_owned()),
        resolvers: resolvers.iter().copied().map(Ipv4Addr::from).collect(),
    }
}

/// Compares line by line, so that a failure shows one rule.
fn assert_golden(rules: &Nftables<'_>, golden: &str) {
    let expected: Value = serde_json::from_str(golden).unwrap();
    let expected = expected["nftables"].as_array().unwrap();
    for (object, expected) in rules.objects.iter().zip(expected) {
        let mut object = serde_json::to_value(object).unwrap();
        sort_flags(&mut object);
        assert_eq!(&object, expected);
    }
    assert_eq!(rules.objects.len(), expected.len());
}

/// The flags of a lookup are a set: it is written in any order.
fn sort_flags(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(flags)) = fields.get_mut("flags") {
                flags.sort_by_key(ToString::to_string);
            }
            fields.values_mut().for_each(sort_flags);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_flags),
        _ => {}
    }
}

#[test]
fn a_namespace_without_egress_answers_the_host_and_refuses_the_rest() {
    let rules = slot_rules(Egress::None);
    assert_golden(&rules, include_str!("golden/slot_none.json"));
}

#[test]
fn an_open_namespace_leads_to_names_and_public_addresses_only_promise_p10() {
    let rules = slot_rules(Egress::Open);
    assert_golden(&rules, include_str!("golden/slot_open.json"));
}

#[test]
fn the_hosts_table_speaks_of_our_interfaces_only_promise_p1() {
    let rules = host_rules(&[[9, 9, 9, 9]]).render();
    assert_golden(&rules, include_str!("golden/host.json"));
}

#[test]
fn a_resolver_on_the_loopback_is_the_only_thing_reached_there() {
    let rules = host_rules(&[[127, 0, 0, 1], [10, 0, 0, 53]]).render();
    assert_golden(&rules, include_str!("golden/host_loopback_resolver.json"));
}

#[test]
fn a_host_without_default_route_or_resolver_lets_nothing_out() {
    let rules = HostRules { egress_interface: None, ..host_rules(&[]) }.render();
    assert_golden(&rules, include_str!("golden/host_offline.json"));
}
