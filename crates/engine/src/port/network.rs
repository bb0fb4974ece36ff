//! One namespace per machine: built closed, opened when its guest may speak, destroyed after use.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use contract::machine::Egress;

use serde::{Deserialize, Serialize};

use crate::record::Slot;

use super::PortError;

/// From a port of the host to a port of a guest, TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Where clients come in.
    pub host_port: u16,
    /// Where they are led.
    pub guest_port: u16,
}

/// What came of opening a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It serves, since now or before.
    Serves,
    /// Somebody else listens on the port of the host. Nothing was done: it is skipped, not fought.
    Taken,
}

/// A relay that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRelay {
    /// The port of the host.
    pub host_port: u16,
    /// The index of the slot that it leads into.
    pub slot: u32,
}

/// Linux networking for machines. A slot is chosen and reserved by planning; the adapter only makes it true.
#[async_trait]
pub trait Network: Send + Sync {
    /// Makes the host ready (forwarding, the host's own table). Idempotent; called at start.
    async fn ensure_host(&self) -> Result<(), PortError>;

    /// Builds namespace, tap (owned by the slot's uid), veth pair and rules, **closed**: nothing is forwarded in either
    /// direction (P8). A warm slot of that name is adopted.
    async fn build(&self, slot: &Slot) -> Result<(), PortError>;

    /// Lets the guest's traffic out as `egress` allows. Idempotent.
    async fn open(&self, slot: &Slot, egress: Egress) -> Result<(), PortError>;

    /// Opens a relay into a slot that is built; it ends with the daemon. Open already to the same guest: fine.
    async fn open_relay(&self, slot: &Slot, relay: Relay) -> Result<Opened, PortError>;

    /// Closes a relay of this daemon and ends its connections. Idempotent.
    async fn close_relay(&self, host_port: u16) -> Result<(), PortError>;

    /// All relays that are open.
    async fn open_relays(&self) -> Result<Vec<OpenRelay>, PortError>;

    /// All TCP ports of the host on which anybody listens, this daemon too.
    async fn listening_ports(&self) -> Result<BTreeSet<u16>, PortError>;

    /// Whether the guest of an open slot accepts connections on a TCP port: one try.
    async fn accepts(&self, slot: &Slot, port: u16, deadline: Duration) -> Result<bool, PortError>;

    /// Destroys the slot: its relays with their connections, namespace, links, rules. Idempotent, works on what is half made.
    async fn destroy(&self, slot: &Slot) -> Result<(), PortError>;

    /// The indices of all slots that exist on this host under this daemon's host id.
    async fn carried_slots(&self) -> Result<Vec<u32>, PortError>;

    /// Destroys a slot known by its index only (the sweep).
    async fn destroy_orphan(&self, index: u32) -> Result<(), PortError>;
}
