//! The facts of a moment, gathered for planning.

use std::collections::BTreeSet;

use contract::OperationId;
use engine::host::Host;
use engine::plan::{Capacity, Facts, Plan};
use engine::port::PortError;
use engine::record::{Machine, Operation, PublishedPort, Snapshot, Volume};
use jiff::Timestamp;

/// How much room there is.
pub trait Room: Send + Sync {
    /// Now.
    ///
    /// # Errors
    /// When the system does not tell.
    fn capacity(&self) -> Result<Capacity, PortError>;
}

/// Records, reservations and room, read one after the other: valid while nobody else plans.
#[derive(Debug)]
pub struct Moment {
    machines: Vec<Machine>,
    snapshots: Vec<Snapshot>,
    volumes: Vec<Volume>,
    published_ports: Vec<PublishedPort>,
    listening: BTreeSet<u16>,
    open: Vec<Plan>,
    capacity: Capacity,
    now: Timestamp,
}

impl Moment {
    /// Reads what planning needs.
    ///
    /// # Errors
    /// When the store or the system does not answer. Rows that cannot be read are left out; reconcile tells of them.
    pub async fn gather(host: &Host, room: &dyn Room) -> Result<Self, PortError> {
        let journal = &host.journal;
        let open = journal.open_operations().await?;
        Ok(Self {
            machines: journal.machines().await?,
            snapshots: journal.snapshots().await?,
            volumes: journal.volumes().await?,
            published_ports: journal.published_ports().await?,
            listening: host.network.listening_ports().await?,
            open: open.into_iter().flatten().filter_map(Operation::reserving).collect(),
            capacity: room.capacity()?,
            now: host.clock.now(),
        })
    }

    /// When it was.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The facts for one operation.
    pub fn facts<'a>(&'a self, host: &'a Host, operation: &OperationId, random: u128) -> Facts<'a> {
        Facts {
            settings: &host.settings,
            machines: &self.machines,
            snapshots: &self.snapshots,
            volumes: &self.volumes,
            published_ports: &self.published_ports,
            listening: &self.listening,
            open: &self.open,
            capacity: self.capacity,
            now: self.now,
            operation: operation.clone(),
            random,
        }
    }
}
