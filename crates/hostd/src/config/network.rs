//! Networks of machines, and relays into them.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use engine::record::PortRange;
use serde::{Deserialize, Serialize};

/// Networks of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// From which slots take their addresses, four each. Private, and none that Docker, libvirt or Kubernetes take by
    /// themselves; each daemon of a host needs its own.
    pub address_block: String,
    /// Who answers guests' name queries; the host's resolvers when empty.
    pub resolvers: Vec<Ipv4Addr>,
    /// TCP endpoints, as `address:port`, that guests with open egress may reach although they are not public: an object store in the
    /// same private network, or on this host.
    pub allowed: Vec<SocketAddrV4>,
    /// How many namespaces are made ahead. Four absorb a burst and cost some 100 KiB of kernel memory each.
    pub warm_slots: u32,
    /// Through which interface guests leave the host; that of the default route when absent.
    pub egress_interface: Option<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            address_block: "10.213.0.0/16".to_owned(),
            resolvers: vec![],
            allowed: vec![],
            warm_slots: 4,
            egress_interface: None,
        }
    }
}

/// Relays from ports of the host to ports of guests. The ranges are contract.md's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Where they listen; loopback unless an operator wants it otherwise.
    pub address: IpAddr,
    /// Published ports.
    pub published: PortRange,
    /// Guests' port 2222.
    pub ssh: PortRange,
    /// Guests' port 6080.
    pub vnc: PortRange,
    /// Guests' port 49983.
    pub exec: PortRange,
    /// How many connections one port carries at once; one more is closed at once. 128 are a busy web page.
    pub connections_per_port: usize,
    /// How many connections all ports carry at once. Each takes two file descriptors and 32 KiB.
    pub connections: usize,
    /// How long a guest may take to accept a connection, in milliseconds; it is one hop away.
    pub connect_ms: u64,
    /// How long a connection may be silent in both directions, in milliseconds. Two hours outlast a coffee with an SSH session
    /// open; clients that stay longer send keep-alives.
    pub idle_ms: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            published: PortRange { first: 20_000, last: 39_999 },
            ssh: PortRange { first: 40_000, last: 44_999 },
            vnc: PortRange { first: 45_000, last: 49_999 },
            exec: PortRange { first: 50_000, last: 54_999 },
            connections_per_port: 128,
            connections: 4096,
            connect_ms: 5_000,
            idle_ms: 2 * 3_600_000,
        }
    }
}
