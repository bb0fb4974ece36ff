//! One namespace per machine: built closed, opened when its guest may speak, destroyed after use.

use async_trait::async_trait;
use contract::machine::Egress;

use crate::record::Slot;

use super::PortError;

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

    /// Destroys the slot: namespace, links, rules. Idempotent, works on what is half made.
    async fn destroy(&self, slot: &Slot) -> Result<(), PortError>;

    /// The indices of all slots that exist on this host under this daemon's host id.
    async fn carried_slots(&self) -> Result<Vec<u32>, PortError>;

    /// Destroys a slot known by its index only (the sweep).
    async fn destroy_orphan(&self, index: u32) -> Result<(), PortError>;
}
