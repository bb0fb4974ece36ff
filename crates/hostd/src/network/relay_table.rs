//! The relays of this daemon: one per port of the host. They live and end with the process; records say which there are.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::port::{OpenRelay, Opened, Relay as Wanted};
use engine::record::Slot;
use tokio::sync::Semaphore;

use super::relay::{Relay, RelayError, RelaySettings};

/// What holds for every relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Where clients come in.
    pub address: IpAddr,
    /// How long a guest may take to accept.
    pub connect_timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle_timeout: Duration,
    /// Connections of one relay at once.
    pub connections_per_port: usize,
    /// Connections of all relays at once.
    pub connections: usize,
}

/// All relays that are open.
#[derive(Debug)]
pub(super) struct RelayTable {
    limits: RelayLimits,
    places: Arc<Semaphore>,
    open: Mutex<HashMap<u16, Entry>>,
}

#[derive(Debug)]
struct Entry {
    slot: u32,
    target: SocketAddr,
    relay: Relay,
}

impl RelayTable {
    pub(super) fn new(limits: RelayLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        Self { limits, places, open: Mutex::default() }
    }

    /// Whether this relay is open.
    pub(super) fn serves(&self, slot: &Slot, wanted: Wanted) -> bool {
        let open = self.entries();
        open.get(&wanted.host_port).is_some_and(|entry| {
            entry.slot == slot.index && entry.target == target_of(slot, wanted)
        })
    }

    /// Opens a relay. One of ours that led elsewhere from the same port is closed first.
    pub(super) async fn open(&self, slot: &Slot, wanted: Wanted) -> Result<Opened, RelayError> {
        if self.serves(slot, wanted) {
            return Ok(Opened::Serves);
        }
        self.close(wanted.host_port).await;
        let target = target_of(slot, wanted);
        let settings = RelaySettings {
            listen: SocketAddr::new(self.limits.address, wanted.host_port),
            target,
            connect_timeout: self.limits.connect_timeout,
            idle_timeout: self.limits.idle_timeout,
            connection_limit: self.limits.connections_per_port,
        };
        match Relay::start(settings, Arc::clone(&self.places)).await {
            Ok(relay) => {
                self.entries().insert(wanted.host_port, Entry { slot: slot.index, target, relay });
                Ok(Opened::Serves)
            }
            Err(RelayError::Busy { .. }) => Ok(Opened::Taken),
            Err(error) => Err(error),
        }
    }

    /// Closes a relay, if it is open; its connections have ended when this returns.
    pub(super) async fn close(&self, host_port: u16) {
        let entry = self.entries().remove(&host_port);
        if let Some(entry) = entry {
            entry.relay.stop().await;
        }
    }

    /// Closes all relays into a slot.
    pub(super) async fn close_slot(&self, slot: u32) {
        let ports: Vec<u16> = self
            .entries()
            .iter()
            .filter_map(|(port, entry)| (entry.slot == slot).then_some(*port))
            .collect();
        for port in ports {
            self.close(port).await;
        }
    }

    /// What is open.
    pub(super) fn list(&self) -> Vec<OpenRelay> {
        let open = self.entries();
        open.iter().map(|(port, entry)| OpenRelay { host_port: *port, slot: entry.slot }).collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u16, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn target_of(slot: &Slot, wanted: Wanted) -> SocketAddr {
    SocketAddr::new(slot.runtime_address.into(), wanted.guest_port)
}
