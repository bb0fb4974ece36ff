//! What the host's network looks like, and whether our configuration fits into it.

use std::net::{IpAddr, Ipv4Addr};

use nftables::{
    schema::{NfListObject, NfObject, Nftables},
    types::{NfChainPolicy, NfHook},
};
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        address::AddressAttribute,
        route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType},
    },
};

use super::{
    error::NetworkError,
    inner::{GATEWAY_ADDRESS, PREFIX_LENGTH},
    netlink::{Netlink, bounded, collect},
    nft::Nft,
    rules::Ipv4Range,
};

/// Addresses that an interface of the host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedRange {
    /// The interface.
    pub interface: String,
    /// The addresses.
    pub range: Ipv4Range,
}

/// The host's network as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The interface of the default route with the lowest metric.
    pub default_interface: Option<String>,
    /// All routes and addresses but the default route and the loopback's.
    pub used: Vec<UsedRange>,
    /// Chains of other tables, as `family table chain`, that drop what nothing there lets through.
    pub foreign_drops: Vec<String>,
}

/// Why this host cannot carry machines as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Addresses of the block are in use.
    #[error(
        "the address block {block} of the configuration overlaps {} on interface {}: choose another",
        used.range, used.interface
    )]
    BlockInUse {
        /// The block.
        block: Ipv4Range,
        /// Who uses it.
        used: UsedRange,
    },
    /// The block holds the addresses that every guest sees inside its namespace.
    #[error(
        "the address block {block} of the configuration overlaps the guests' inner network {inner}"
    )]
    BlockIsInner {
        /// The block.
        block: Ipv4Range,
        /// The inner network.
        inner: Ipv4Range,
    },
    /// A resolver lies in the block.
    #[error("the resolver {resolver} lies in the address block {block} of the configuration")]
    ResolverInBlock {
        /// The block.
        block: Ipv4Range,
        /// The resolver.
        resolver: Ipv4Addr,
    },
}

/// What works less well than it could.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Guests reach nothing outside.
    #[error("the host has no default route: guests reach nothing outside")]
    NoDefaultRoute,
    /// Guests resolve no names.
    #[error("the host has no resolver that speaks IPv4: guests resolve no names")]
    NoResolver,
    /// Another firewall may drop what guests send.
    #[error(
        "the chain {chain} drops what it does not let through: unless it lets our interfaces pass, guests reach nothing outside"
    )]
    ForeignDrop {
        /// `family table chain`.
        chain: String,
    },
}

impl HostFacts {
    /// Reads them; interfaces that begin with `own_prefix` and tables called `own_table` are ours and do not count.
    pub(super) async fn read(
        nft: &Nft,
        own_prefix: &str,
        own_table: &str,
    ) -> Result<Self, NetworkError> {
        let netlink = Netlink::open()?;
        let interfaces = netlink.interfaces().await?;
        let name_of = |index: u32| {
            interfaces
                .iter()
                .find(|interface| interface.index == index)
                .map(|interface| interface.name.clone())
        };
        let routes = routes(&netlink).await?;
        let default_interface = routes
            .iter()
            .filter(|route| route.is_default)
            .min_by_key(|route| route.metric)
            .and_then(|route| name_of(route.interface));
        let used = routes
            .iter()
            .filter(|route| !route.is_default)
            .map(|route| (route.interface, route.range))
            .chain(addresses(&netlink).await?)
            .filter_map(|(index, range)| {
                name_of(index).map(|interface| UsedRange { interface, range })
            })
            .filter(|used| used.interface != "lo" && !used.interface.starts_with(own_prefix))
            .collect();
        let chains = nft.list("chains").await?;
        Ok(Self { default_interface, used, foreign_drops: forward_drops(&chains, own_table) })
    }

    /// Why machines cannot run here with these addresses; the first reason found.
    pub fn refuse(&self, block: Ipv4Range, resolvers: &[Ipv4Addr]) -> Result<(), Refusal> {
        let inner = Ipv4Range::around(GATEWAY_ADDRESS, PREFIX_LENGTH);
        if block.overlaps(&inner) {
            return Err(Refusal::BlockIsInner { block, inner });
        }
        if let Some(used) = self.used.iter().find(|used| used.range.overlaps(&block)) {
            let used = used.clone();
            return Err(Refusal::BlockInUse { block, used });
        }
        match resolvers.iter().find(|resolver| block.contains(**resolver)) {
            Some(&resolver) => Err(Refusal::ResolverInBlock { block, resolver }),
            None => Ok(()),
        }
    }

    /// What an operator should know.
    pub fn warnings(&self, egress_interface: Option<&str>, resolvers: &[Ipv4Addr]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if egress_interface.is_none() {
            warnings.push(Warning::NoDefaultRoute);
        }
        if resolvers.is_empty() {
            warnings.push(Warning::NoResolver);
        }
        warnings
            .extend(self.foreign_drops.iter().cloned().map(|chain| Warning::ForeignDrop { chain }));
        warnings
    }
}

/// A route of the main table.
struct Route {
    interface: u32,
    range: Ipv4Range,
    is_default: bool,
    metric: u32,
}

async fn routes(netlink: &Netlink) -> Result<Vec<Route>, NetworkError> {
    let request = netlink.handle().route().get(RouteMessageBuilder::<Ipv4Addr>::new().build());
    let messages = bounded("list routes", "*", collect(request.execute())).await?;
    Ok(messages.iter().filter_map(decode_route).collect())
}

/// A unicast route of the main table through one interface, or the first of several.
fn decode_route(message: &RouteMessage) -> Option<Route> {
    let is_ours = message.header.table == RouteHeader::RT_TABLE_MAIN
        && message.header.kind == RouteType::Unicast;
    let mut interface = None;
    let mut first = Ipv4Addr::UNSPECIFIED;
    let mut metric = 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::MultiPath(hops) => {
                interface = interface.or(hops.first().map(|hop| hop.interface_index));
            }
            RouteAttribute::Destination(RouteAddress::Inet(address)) => first = *address,
            RouteAttribute::Priority(value) => metric = *value,
            _ => {}
        }
    }
    let prefix_length = message.header.destination_prefix_length;
    interface.filter(|_| is_ours).map(|interface| Route {
        interface,
        range: Ipv4Range::around(first, prefix_length),
        is_default: prefix_length == 0,
        metric,
    })
}

async fn addresses(netlink: &Netlink) -> Result<Vec<(u32, Ipv4Range)>, NetworkError> {
    let request = netlink.handle().address().get().execute();
    let messages = bounded("list addresses", "*", collect(request)).await?;
    Ok(messages
        .iter()
        .filter_map(|message| {
            let address = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(IpAddr::V4(address)) => Some(*address),
                _ => None,
            })?;
            let range = Ipv4Range::around(address, message.header.prefix_len);
            Some((message.header.index, range))
        })
        .collect())
}

/// The base chains of other tables that drop forwarded packets by policy.
fn forward_drops(chains: &Nftables<'_>, own_table: &str) -> Vec<String> {
    chains
        .objects
        .iter()
        .filter_map(|object| match object {
            NfObject::ListObject(NfListObject::Chain(chain)) => Some(chain),
            _ => None,
        })
        .filter(|chain| chain.hook == Some(NfHook::Forward))
        .filter(|chain| chain.policy == Some(NfChainPolicy::Drop) && chain.table != own_table)
        .map(|chain| {
            let family = format!("{:?}", chain.family).to_lowercase();
            format!("{family} {} {}", chain.table, chain.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Ipv4Range = Ipv4Range::around(Ipv4Addr::new(10, 213, 0, 0), 16);

    fn facts(first: [u8; 4], prefix_length: u8) -> HostFacts {
        HostFacts {
            used: vec![UsedRange {
                interface: "eth0".to_owned(),
                range: Ipv4Range::around(first.into(), prefix_length),
            }],
            ..HostFacts::default()
        }
    }

    #[test]
    fn a_block_that_the_host_uses_is_refused_promise_p13() {
        assert!(matches!(
            facts([10, 213, 7, 0], 24).refuse(BLOCK, &[]),
            Err(Refusal::BlockInUse { used, .. }) if used.interface == "eth0"
        ));
        assert!(facts([10, 0, 0, 0], 8).refuse(BLOCK, &[]).is_err());
        assert_eq!(facts([10, 214, 0, 0], 16).refuse(BLOCK, &[]), Ok(()));
    }

    #[test]
    fn a_block_over_the_inner_network_or_a_resolver_is_refused() {
        let inner = Ipv4Range::around([172, 16, 0, 0].into(), 16);
        assert!(matches!(
            HostFacts::default().refuse(inner, &[]),
            Err(Refusal::BlockIsInner { .. })
        ));
        assert!(matches!(
            HostFacts::default().refuse(BLOCK, &[[10, 213, 0, 53].into()]),
            Err(Refusal::ResolverInBlock { .. })
        ));
    }

    #[test]
    fn another_firewall_that_drops_forwarded_packets_is_told_and_ours_is_not() {
        let listing = r#"{"nftables": [
            {"metainfo": {"version": "1.0.6", "release_name": "x", "json_schema_version": 1}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter",
                       "hook": "forward", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 2, "type": "filter",
                       "hook": "input", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "inet", "table": "computer_1", "name": "forward", "handle": 1, "type": "filter",
                       "hook": "forward", "prio": 0, "policy": "drop"}}]}"#;
        let chains: Nftables<'_> = serde_json::from_str(listing).unwrap();
        assert_eq!(forward_drops(&chains, "computer_1"), ["ip filter FORWARD"]);
    }
}
