//! The one table on the host. It speaks of our own interfaces only; whatever else the host forwards or serves passes it
//! by, and no other table is touched.

use std::net::{Ipv4Addr, SocketAddrV4};

use nftables::{schema::Nftables, types::NfChainPolicy};

use super::{
    expression::{
        accept, address, any_of, came_through, clamp_segments, destination_is, drop, go_to,
        in_turn, is_answer, is_for_this_interface, is_invalid, is_name_query, is_not_ipv4, is_to,
        leaves_not_through, leaves_through, masquerade, range, redirect_to, source_is,
        source_is_forged, speak_as, text, was_redirected,
    },
    range::Ipv4Range,
    reserved::NOT_PUBLIC,
    table::{Hook, TableBuilder},
};

/// The name of the host's table: one for each daemon.
pub fn host_table_name(host_id: &str) -> String {
    format!("computer_{host_id}")
}

/// The transaction that takes the host's table away, whether or not it is there.
pub fn no_host_rules(host_id: &str) -> Nftables<'static> {
    TableBuilder::remove(host_table_name(host_id))
}

/// Writes the host's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRules {
    /// The host id, which names the table.
    pub host_id: String,
    /// How the names of all our interfaces begin.
    pub interface_prefix: String,
    /// The addresses of all slots.
    pub block: Ipv4Range,
    /// Where guests' traffic leaves the host; none when the host has no default route.
    pub egress_interface: Option<String>,
    /// Who answers guests' name queries; none when the host has no resolver that speaks IPv4.
    pub resolvers: Vec<Ipv4Addr>,
    /// What guests may reach although it is not public, this host's own ports included.
    pub allowed: Vec<SocketAddrV4>,
}

impl HostRules {
    /// The transaction that makes them the whole content of the host's table.
    pub fn render(&self) -> Nftables<'static> {
        let mut table = TableBuilder::replace(host_table_name(&self.host_id));
        self.refuse_forged(&mut table);
        self.lead_name_queries(&mut table);
        self.guard_host(&mut table);
        self.guard_forwarding(&mut table);
        table.base_chain("departure", Hook::TranslateSource, NfChainPolicy::Accept);
        table.rule(
            "departure",
            [source_is(range(self.block)), leaves_not_through(&self.ours()), masquerade()],
        );
        table.finish()
    }

    /// What matches every interface of ours and no other.
    fn ours(&self) -> String {
        format!("{}*", self.interface_prefix)
    }

    fn refuse_forged(&self, table: &mut TableBuilder) {
        table.base_chain("arrival", Hook::Arrival, NfChainPolicy::Accept);
        table.rule("arrival", [came_through(&self.ours()), is_not_ipv4(), drop()]);
        table.rule("arrival", [came_through(&self.ours()), source_is_forged(), drop()]);
    }

    /// Name queries arrive at our end of the veth pair and go on to the resolvers in turn, here and not inside the
    /// namespaces, so that one change of the host's resolvers serves all guests.
    fn lead_name_queries(&self, table: &mut TableBuilder) {
        if self.resolvers.is_empty() {
            return;
        }
        table.base_chain("names", Hook::TranslateDestination, NfChainPolicy::Accept);
        let mut queries = vec![came_through(&self.ours()), is_for_this_interface()];
        queries.extend(is_name_query());
        queries.push(redirect_to(in_turn(&self.resolvers)));
        table.rule("names", queries);
    }

    /// No port of the host is reached, but a resolver on its loopback; to that one the query comes from the loopback.
    fn guard_host(&self, table: &mut TableBuilder) {
        table.base_chain("input", Hook::Input, NfChainPolicy::Accept);
        table.chain("to_host");
        table.rule("input", [came_through(&self.ours()), go_to("to_host")]);
        table.rule("to_host", [is_answer(), accept()]);
        let local: Vec<Ipv4Addr> =
            self.resolvers.iter().copied().filter(Ipv4Addr::is_loopback).collect();
        if !local.is_empty() {
            table.rule("to_host", pass_queries(&local));
            table.base_chain("local_names", Hook::TranslateInput, NfChainPolicy::Accept);
            table.rule(
                "local_names",
                [
                    came_through(&self.ours()),
                    destination_is(any_of(local.into_iter().map(address))),
                    speak_as(Ipv4Addr::LOCALHOST),
                ],
            );
        }
        for endpoint in &self.allowed {
            table.rule("to_host", is_to(*endpoint).into_iter().chain([accept()]));
        }
        table.rule("to_host", [drop()]);
    }

    /// From a guest: to public addresses and the resolvers, never to a neighbour. To a guest: answers only, so that no
    /// other machine reaches it through this host's forwarding.
    fn guard_forwarding(&self, table: &mut TableBuilder) {
        table.ranges("not_public", &NOT_PUBLIC);
        table.base_chain("forward", Hook::Forward, NfChainPolicy::Accept);
        table.chain("from_guest");
        table.chain("to_guest");
        table.rule("forward", [came_through(&self.ours()), go_to("from_guest")]);
        table.rule("forward", [leaves_through(&self.ours()), go_to("to_guest")]);

        table.rule("from_guest", [leaves_through(&self.ours()), drop()]);
        table.rule("from_guest", [is_invalid(), drop()]);
        table.rule("from_guest", clamp_segments());
        table.rule("from_guest", [is_answer(), accept()]);
        if !self.resolvers.is_empty() {
            table.rule("from_guest", pass_queries(&self.resolvers));
        }
        for endpoint in &self.allowed {
            table.rule("from_guest", is_to(*endpoint).into_iter().chain([accept()]));
        }
        table.rule("from_guest", [destination_is(text("@not_public")), drop()]);
        if let Some(egress) = &self.egress_interface {
            table.rule("from_guest", [leaves_through(egress), accept()]);
        }
        table.rule("from_guest", [drop()]);

        table.rule("to_guest", clamp_segments());
        table.rule("to_guest", [is_answer(), accept()]);
        table.rule("to_guest", [drop()]);
    }
}

/// Lets through what [`HostRules::lead_name_queries`] redirected to one of these.
fn pass_queries(resolvers: &[Ipv4Addr]) -> Vec<super::expression::Step> {
    let mut steps =
        vec![was_redirected(), destination_is(any_of(resolvers.iter().copied().map(address)))];
    steps.extend(is_name_query());
    steps.push(accept());
    steps
}
