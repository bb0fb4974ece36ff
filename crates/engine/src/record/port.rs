//! Ports of the host that lead into guests: reserved by planning, kept with the machine, served while its guest is ready.

use contract::port::PortName;
use contract::{MachineId, PublishedPortId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl PortRange {
    /// Whether the two share a port.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// All of them, in order.
    pub fn ports(&self) -> impl Iterator<Item = u16> + use<> {
        self.first..=self.last
    }
}

/// A port of the host that belongs to a machine for as long as the machine exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayPort {
    /// What it is for, which says the port of the guest.
    pub name: PortName,
    /// The port of the host.
    pub host_port: u16,
}

/// A port of a guest that its owner has published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedPort {
    /// Its name, unique within its machine.
    pub id: PublishedPortId,
    /// Whose port it is.
    pub machine: MachineId,
    /// What people call it.
    pub name: Option<String>,
    /// The port of the guest.
    pub port: u16,
    /// The port of the host that leads to it.
    pub host_port: u16,
    /// Whether it carries HTTP, and is reached by host name through the daemon's own listeners too.
    pub is_http: bool,
    /// When it was published.
    pub created_at: Timestamp,
}

impl PublishedPort {
    /// The first label of the host name under which an HTTP port is reached: `<name or guest port>--<machine>`.
    pub fn host_label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}--{}", self.machine),
            None => format!("{}--{}", self.port, self.machine),
        }
    }
}
