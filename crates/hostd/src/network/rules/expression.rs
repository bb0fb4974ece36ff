//! Short names for the expressions and statements our rules are made of.

use std::{
    borrow::Cow,
    collections::HashSet,
    net::{Ipv4Addr, SocketAddrV4},
};

use nftables::{
    expr::{
        BinaryOperation, CT, Expression, Fib, FibFlag, FibResult, Map, Meta, MetaKey,
        NamedExpression, NgMode, Numgen, Payload, PayloadField, Prefix, RT, RTKey, SetItem,
        TcpOption,
    },
    stmt::{
        CTCount, JumpTarget, Mangle, Match, NAT, NATFamily, Operator, Reject, RejectType, Statement,
    },
    types::RejectCode,
};

use super::range::Ipv4Range;

/// A statement of a rule.
pub(super) type Step = Statement<'static>;
/// A value that a statement compares or sets.
pub(super) type Value = Expression<'static>;

pub(super) fn text(value: impl Into<Cow<'static, str>>) -> Value {
    Expression::String(value.into())
}

pub(super) fn address(value: Ipv4Addr) -> Value {
    text(value.to_string())
}

pub(super) fn range(value: Ipv4Range) -> Value {
    if value.prefix_length == 32 {
        return address(value.first);
    }
    Expression::Named(NamedExpression::Prefix(Prefix {
        addr: Box::new(address(value.first)),
        len: value.prefix_length.into(),
    }))
}

/// An anonymous set.
pub(super) fn any_of(values: impl IntoIterator<Item = Value>) -> Value {
    let items = values.into_iter().map(SetItem::Element).collect();
    Expression::Named(NamedExpression::Set(items))
}

fn meta(key: MetaKey) -> Value {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

fn field(protocol: &'static str, field: &'static str) -> Value {
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(PayloadField {
        protocol: protocol.into(),
        field: field.into(),
    })))
}

fn tracked(key: &'static str) -> Value {
    Expression::Named(NamedExpression::CT(CT { key: key.into(), family: None, dir: None }))
}

fn lookup(result: FibResult, flags: [FibFlag; 2]) -> Value {
    Expression::Named(NamedExpression::Fib(Fib { result, flags: HashSet::from(flags) }))
}

fn compare(left: Value, op: Operator, right: Value) -> Step {
    Statement::Match(Match { left, right, op })
}

/// The packet came in through the interface; a trailing `*` matches every name with that beginning.
pub(super) fn came_through(interface: &str) -> Step {
    let name = text(interface.to_owned());
    compare(meta(MetaKey::Iifname), Operator::EQ, name)
}

/// The packet leaves through the interface.
pub(super) fn leaves_through(interface: &str) -> Step {
    let name = text(interface.to_owned());
    compare(meta(MetaKey::Oifname), Operator::EQ, name)
}

/// The packet leaves through another interface than this one.
pub(super) fn leaves_not_through(interface: &str) -> Step {
    let name = text(interface.to_owned());
    compare(meta(MetaKey::Oifname), Operator::NEQ, name)
}

pub(super) fn is_not_ipv4() -> Step {
    compare(meta(MetaKey::Nfproto), Operator::NEQ, text("ipv4"))
}

pub(super) fn source_is(value: Value) -> Step {
    compare(field("ip", "saddr"), Operator::EQ, value)
}

pub(super) fn source_is_not(value: Value) -> Step {
    compare(field("ip", "saddr"), Operator::NEQ, value)
}

pub(super) fn destination_is(value: Value) -> Step {
    compare(field("ip", "daddr"), Operator::EQ, value)
}

/// TCP to one port of one address.
pub(super) fn is_to(endpoint: SocketAddrV4) -> [Step; 3] {
    [
        destination_is(address(*endpoint.ip())),
        compare(meta(MetaKey::L4proto), Operator::EQ, text("tcp")),
        compare(field("th", "dport"), Operator::EQ, Expression::Number(endpoint.port().into())),
    ]
}

/// A name query: UDP or TCP to port 53.
pub(super) fn is_name_query() -> [Step; 2] {
    let protocols = any_of([text("tcp"), text("udp")]);
    [
        compare(meta(MetaKey::L4proto), Operator::EQ, protocols),
        compare(field("th", "dport"), Operator::EQ, Expression::Number(53)),
    ]
}

/// The ICMP errors without which a sender does not learn why nothing comes back.
pub(super) fn is_icmp_error() -> Step {
    let kinds = any_of([text("destination-unreachable"), text("time-exceeded")]);
    compare(field("icmp", "type"), Operator::EQ, kinds)
}

/// Part of a flow that was let through before, or an error about one.
pub(super) fn is_answer() -> Step {
    let states = Expression::List(vec![text("established"), text("related")]);
    compare(tracked("state"), Operator::IN, states)
}

pub(super) fn is_invalid() -> Step {
    compare(tracked("state"), Operator::IN, text("invalid"))
}

/// The destination was translated by a rule of ours or another's.
pub(super) fn was_redirected() -> Step {
    compare(tracked("status"), Operator::IN, text("dnat"))
}

/// No route leads back to the source through the interface it came from: the source is forged.
pub(super) fn source_is_forged() -> Step {
    let back = lookup(FibResult::Oif, [FibFlag::Saddr, FibFlag::Iif]);
    compare(back, Operator::EQ, Expression::Boolean(false))
}

/// The destination is an address of the very interface it came through.
pub(super) fn is_for_this_interface() -> Step {
    let kind = lookup(FibResult::Type, [FibFlag::Daddr, FibFlag::Iif]);
    compare(kind, Operator::EQ, text("local"))
}

/// There are more flows than `limit` that this rule has seen begin.
pub(super) fn flows_exceed(limit: u32) -> Step {
    Statement::CTCount(CTCount { val: Expression::Number(limit), inv: Some(true) })
}

/// On the first packets of a TCP connection: no segment larger than the smallest link on the way takes.
pub(super) fn clamp_segments() -> [Step; 2] {
    let syn_and_rst = BinaryOperation::AND(field("tcp", "flags"), Expression::Number(0x06));
    let segment =
        NamedExpression::TcpOption(TcpOption { name: "maxseg".into(), field: Some("size".into()) });
    let route = NamedExpression::RT(RT { key: RTKey::MTU, family: None });
    [
        compare(
            Expression::BinaryOperation(Box::new(syn_and_rst)),
            Operator::EQ,
            Expression::Number(0x02),
        ),
        Statement::Mangle(Mangle {
            key: Expression::Named(segment),
            value: Expression::Named(route),
        }),
    ]
}

fn translation(to: Value) -> Option<NAT<'static>> {
    Some(NAT { addr: Some(to), family: Some(NATFamily::IP), port: None, flags: None })
}

pub(super) fn redirect_to(to: Value) -> Step {
    Statement::DNAT(translation(to))
}

pub(super) fn speak_as(from: Ipv4Addr) -> Step {
    Statement::SNAT(translation(address(from)))
}

pub(super) fn masquerade() -> Step {
    Statement::Masquerade(None)
}

/// One address of several, each flow the next one.
pub(super) fn in_turn(addresses: &[Ipv4Addr]) -> Value {
    if let [only] = addresses {
        return address(*only);
    }
    let count = u32::try_from(addresses.len()).expect("a handful of resolvers fits");
    let choices = (0..count)
        .zip(addresses)
        .map(|(number, choice)| SetItem::Mapping(Expression::Number(number), address(*choice)));
    Expression::Named(NamedExpression::Map(Box::new(Map {
        key: Expression::Named(NamedExpression::Numgen(Numgen {
            mode: NgMode::Inc,
            ng_mod: count,
            offset: None,
        })),
        data: Expression::Named(NamedExpression::Set(choices.collect())),
    })))
}

pub(super) fn accept() -> Step {
    Statement::Accept(None)
}

pub(super) fn drop() -> Step {
    Statement::Drop(None)
}

/// Refuse and say so, so that the guest's programs fail at once instead of waiting.
pub(super) fn refuse() -> Step {
    Statement::Reject(Some(Reject {
        _type: Some(RejectType::ICMP),
        expr: Some(RejectCode::AdminProhibited),
    }))
}

pub(super) fn go_to(chain: &'static str) -> Step {
    Statement::Goto(JumpTarget { target: chain.into() })
}
