//! Slots of the fake host.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use contract::machine::Egress;
use engine::port::{Fault, Network, OpenRelay, Opened, PortError, Relay};
use engine::record::Slot;

use super::life::Life;
use super::world::{FakeRelay, FakeSlot};

/// The network port of one life.
#[derive(Debug)]
pub struct FakeNetwork {
    life: Life,
}

impl FakeNetwork {
    /// The port.
    pub fn new(life: Life) -> Self {
        Self { life }
    }
}

#[async_trait]
impl Network for FakeNetwork {
    async fn ensure_host(&self) -> Result<(), PortError> {
        self.life.effect("network.ensure_host", |_| Ok(())).await
    }

    async fn build(&self, slot: &Slot) -> Result<(), PortError> {
        let half = FakeSlot { is_whole: false, open: None };
        self.life
            .effect("network.build: namespace", |state| {
                let user = state
                    .processes
                    .values()
                    .find(|process| process.spec.slot.index == slot.index)
                    .map(|process| process.spec.launch.machine.clone());
                if let Some(machine) = user {
                    state.defects.insert(format!("P7: the slot of {machine} is built again"));
                }
                state.slots.entry(slot.index).or_insert(half);
                Ok(())
            })
            .await?;
        self.life
            .effect("network.build: links and rules", |state| {
                let slot = state.slots.get_mut(&slot.index).ok_or_else(|| absent(slot.index))?;
                slot.is_whole = true;
                slot.open = None;
                Ok(())
            })
            .await
    }

    async fn open(&self, slot: &Slot, egress: Egress) -> Result<(), PortError> {
        self.life
            .effect("network.open", |state| {
                let slot = state.slots.get_mut(&slot.index).ok_or_else(|| absent(slot.index))?;
                slot.open = Some(egress);
                Ok(())
            })
            .await
    }

    async fn open_relay(&self, slot: &Slot, relay: Relay) -> Result<Opened, PortError> {
        let wanted = FakeRelay { slot: slot.index, guest_port: relay.guest_port };
        self.life
            .effect("network.open_relay", |state| {
                if state.relays.get(&relay.host_port) == Some(&wanted) {
                    return Ok(Opened::Serves);
                }
                if !state.slots.get(&slot.index).is_some_and(|slot| slot.is_whole) {
                    return Err(absent(slot.index));
                }
                if state.foreign_listeners.contains(&relay.host_port) {
                    return Ok(Opened::Taken);
                }
                if let Some(other) = state.relays.insert(relay.host_port, wanted) {
                    let what = format!("P7: port {} led to {other:?}", relay.host_port);
                    state.defects.insert(what);
                }
                Ok(Opened::Serves)
            })
            .await
    }

    async fn close_relay(&self, host_port: u16) -> Result<(), PortError> {
        self.life
            .effect("network.close_relay", |state| {
                state.relays.remove(&host_port);
                Ok(())
            })
            .await
    }

    async fn open_relays(&self) -> Result<Vec<OpenRelay>, PortError> {
        self.life
            .effect("network.open_relays", |state| {
                let relays = state.relays.iter();
                let open = |(port, relay): (&u16, &FakeRelay)| OpenRelay {
                    host_port: *port,
                    slot: relay.slot,
                };
                Ok(relays.map(open).collect())
            })
            .await
    }

    async fn listening_ports(&self) -> Result<BTreeSet<u16>, PortError> {
        self.life
            .effect("network.listening_ports", |state| {
                let ours = state.relays.keys().copied();
                Ok(ours.chain(state.foreign_listeners.iter().copied()).collect())
            })
            .await
    }

    async fn accepts(
        &self,
        slot: &Slot,
        _port: u16,
        _deadline: Duration,
    ) -> Result<bool, PortError> {
        self.life
            .effect("network.accepts", |state| {
                Ok(state.slots.get(&slot.index).is_some_and(|slot| slot.open.is_some()))
            })
            .await
    }

    async fn destroy(&self, slot: &Slot) -> Result<(), PortError> {
        self.destroy_orphan(slot.index).await
    }

    async fn carried_slots(&self) -> Result<Vec<u32>, PortError> {
        self.life
            .effect("network.carried_slots", |state| Ok(state.slots.keys().copied().collect()))
            .await
    }

    async fn destroy_orphan(&self, index: u32) -> Result<(), PortError> {
        self.life
            .effect("network.destroy: relays", |state| {
                state.relays.retain(|_, relay| relay.slot != index);
                Ok(())
            })
            .await?;
        self.life
            .effect("network.destroy: links and rules", |state| {
                if let Some(slot) = state.slots.get_mut(&index) {
                    slot.is_whole = false;
                    slot.open = None;
                }
                Ok(())
            })
            .await?;
        self.life
            .effect("network.destroy: namespace", |state| {
                state.slots.remove(&index);
                Ok(())
            })
            .await
    }
}

fn absent(index: u32) -> PortError {
    PortError::plain(Fault::Absent, format!("find the namespace of slot {index}"))
}
