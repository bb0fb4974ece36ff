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
    SlotRules { slot: &slot, egress, allowed: &[] }.render()
}

fn host_rules(resolvers: &[[u8; 4]]) -> HostRules {
    HostRules {
        host_id: "0123abcd".to_owned(),
        interface_prefix: "c0123a-".to_owned(),
        block: Ipv4Range::from(BLOCK),
        egress_interface: Some("eth0".to_owned()),
        resolvers: resolvers.iter().copied().map(Ipv4Addr::from).collect(),
        allowed: vec![],
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
fn promise_p10_what_an_operator_allows_is_one_port_of_one_address_and_before_the_refusal() {
    let allowed = ["10.1.2.3:9000".parse().unwrap()];
    let slot = Slot::new("0123abcd", BLOCK, 200_000, 7);
    let egress = Egress::Open;
    let rules = SlotRules { slot: &slot, egress, allowed: &allowed }.render();
    let inside = serde_json::to_string(&rules).unwrap();
    let host = HostRules { allowed: allowed.to_vec(), ..host_rules(&[]) }.render();
    let outside = serde_json::to_string(&host).unwrap();
    for (rules, times) in [(inside, 1), (outside, 2)] {
        assert_eq!(rules.matches("10.1.2.3").count(), times);
        assert_eq!(rules.matches("9000").count(), times);
        assert!(rules.rfind("10.1.2.3") < rules.rfind("@not_public"), "{rules}");
    }
    let none = SlotRules { slot: &slot, egress: Egress::None, allowed: &allowed };
    assert!(!serde_json::to_string(&none.render()).unwrap().contains("10.1.2.3"));
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
