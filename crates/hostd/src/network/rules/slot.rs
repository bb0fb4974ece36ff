//! The rules inside one machine's namespace.

use std::net::SocketAddrV4;

use contract::machine::Egress;
use engine::record::Slot;
use nftables::{schema::Nftables, types::NfChainPolicy};

use super::{
    expression::{
        accept, address, came_through, destination_is, drop, flows_exceed, go_to, is_answer,
        is_icmp_error, is_invalid, is_name_query, is_not_ipv4, is_to, leaves_through, redirect_to,
        refuse, source_is, source_is_not, speak_as, text, was_redirected,
    },
    reserved::NOT_PUBLIC,
    table::{Hook, TableBuilder},
};
use crate::network::inner::{GATEWAY_ADDRESS, GUEST_ADDRESS, TAP, UPLINK};

/// The name of the table; a namespace holds nothing else.
const TABLE: &str = "computer";

/// How many connections a guest may have open to the outside. Each also takes an entry of the host's connection table,
/// which by default holds 65,536 to 262,144 and is shared by all.
const FLOW_LIMIT: u32 = 4_096;

/// Writes the rules of one namespace.
#[derive(Debug, Clone, Copy)]
pub struct SlotRules<'a> {
    /// The slot whose addresses they name.
    pub slot: &'a Slot,
    /// What the guest reaches. In either case the host reaches the guest and has its answers.
    pub egress: Egress,
    /// What guests with open egress may reach although it is not public.
    pub allowed: &'a [SocketAddrV4],
}

impl SlotRules<'_> {
    /// The transaction that makes them the only rules of the namespace.
    pub fn render(&self) -> Nftables<'static> {
        let mut table = TableBuilder::replace(TABLE);
        deny_by_default(&mut table);
        self.translate(&mut table);
        pass_answers_and_host(&mut table);
        table.chain("egress");
        table.rule("forward", [came_through(TAP), leaves_through(UPLINK), go_to("egress")]);
        match self.egress {
            Egress::Open => self.pass_public(&mut table),
            Egress::None => table.rule("egress", [refuse()]),
        }
        table.finish()
    }

    /// NAT at the namespace's edge: outside, the guest is the runtime address; inside, the host is the gateway.
    fn translate(&self, table: &mut TableBuilder) {
        table.base_chain("destination", Hook::TranslateDestination, NfChainPolicy::Accept);
        table.rule(
            "destination",
            [
                came_through(UPLINK),
                destination_is(address(self.slot.runtime_address)),
                redirect_to(address(GUEST_ADDRESS)),
            ],
        );
        let mut queries = vec![came_through(TAP), destination_is(address(GATEWAY_ADDRESS))];
        queries.extend(is_name_query());
        queries.push(redirect_to(address(self.slot.host_address)));
        table.rule("destination", queries);

        table.base_chain("source", Hook::TranslateSource, NfChainPolicy::Accept);
        table.rule(
            "source",
            [
                leaves_through(UPLINK),
                source_is(address(GUEST_ADDRESS)),
                speak_as(self.slot.runtime_address),
            ],
        );
        table.rule("source", [leaves_through(TAP), speak_as(GATEWAY_ADDRESS)]);
    }

    /// Public addresses, and names: those go to the host's end of the veth pair, where the host's table leads them on.
    fn pass_public(&self, table: &mut TableBuilder) {
        table.ranges("not_public", &NOT_PUBLIC);
        table.rule("egress", [flows_exceed(FLOW_LIMIT), drop()]);
        let mut names = vec![was_redirected(), destination_is(address(self.slot.host_address))];
        names.extend(is_name_query());
        names.push(accept());
        table.rule("egress", names);
        for endpoint in self.allowed {
            table.rule("egress", is_to(*endpoint).into_iter().chain([accept()]));
        }
        table.rule("egress", [destination_is(text("@not_public")), refuse()]);
        table.rule("egress", [accept()]);
    }
}

/// Nothing is forwarded, nothing here is reached, and nothing that runs here, such as a VMM that was taken over, speaks.
fn deny_by_default(table: &mut TableBuilder) {
    table.base_chain("arrival", Hook::Arrival, NfChainPolicy::Accept);
    table.rule("arrival", [came_through(TAP), is_not_ipv4(), drop()]);
    table.rule("arrival", [came_through(TAP), source_is_not(address(GUEST_ADDRESS)), drop()]);
    for (name, hook) in
        [("input", Hook::Input), ("forward", Hook::Forward), ("output", Hook::Output)]
    {
        table.base_chain(name, hook, NfChainPolicy::Drop);
    }
    table.rule("output", [leaves_through(TAP), is_icmp_error(), accept()]);
}

/// The host may speak to the guest, and whoever was let through is answered.
fn pass_answers_and_host(table: &mut TableBuilder) {
    table.rule("forward", [is_invalid(), drop()]);
    table.rule("forward", [is_answer(), accept()]);
    table.rule("forward", [came_through(UPLINK), leaves_through(TAP), was_redirected(), accept()]);
}
