//! What every `Network` must do, whether it is the kernel's or a fake.

use contract::machine::Egress;
use engine::{
    port::{Network, OpenRelay, Opened, Relay},
    record::Slot,
};

/// Runs the suite. `slot_of` gives the slot of an index; indices 0 to 3 must be free on the host, and are free again
/// afterwards.
///
/// # Panics
/// When the network does not behave.
pub async fn run(network: &dyn Network, slot_of: impl Fn(u32) -> Slot) {
    prepares_the_host_twice(network).await;
    carries_what_was_built_until_it_is_destroyed(network, &slot_of(0)).await;
    builds_opens_and_destroys_twice(network, &slot_of(1)).await;
    destroys_what_was_never_built(network, &slot_of(2)).await;
    destroys_an_orphan_by_its_index(network, &slot_of(3)).await;
    relays_into_a_slot_until_it_is_destroyed(network, &slot_of(0), &slot_of(1)).await;
}

async fn prepares_the_host_twice(network: &dyn Network) {
    network.ensure_host().await.expect("prepares the host");
    network.ensure_host().await.expect("prepares it again");
}

async fn carries_what_was_built_until_it_is_destroyed(network: &dyn Network, slot: &Slot) {
    assert!(!is_carried(network, slot).await, "nothing is carried before it is built");
    network.build(slot).await.expect("builds");
    assert!(is_carried(network, slot).await, "what was built is carried");
    network.destroy(slot).await.expect("destroys");
    assert!(!is_carried(network, slot).await, "what was destroyed is not carried");
    network.build(slot).await.expect("builds again under the same name");
    network.destroy(slot).await.expect("destroys again");
}

async fn builds_opens_and_destroys_twice(network: &dyn Network, slot: &Slot) {
    network.build(slot).await.expect("builds");
    network.build(slot).await.expect("builds what is built");
    for egress in [Egress::Open, Egress::Open, Egress::None, Egress::Open] {
        network.open(slot, egress).await.expect("opens");
    }
    network.destroy(slot).await.expect("destroys");
    network.destroy(slot).await.expect("destroys what is destroyed");
    assert!(network.open(slot, Egress::Open).await.is_err(), "what was destroyed cannot be opened");
}

async fn destroys_what_was_never_built(network: &dyn Network, slot: &Slot) {
    network.destroy(slot).await.expect("destroys nothing");
    network.destroy_orphan(slot.index).await.expect("destroys nothing");
}

async fn destroys_an_orphan_by_its_index(network: &dyn Network, slot: &Slot) {
    network.build(slot).await.expect("builds");
    network.destroy_orphan(slot.index).await.expect("destroys by index");
    assert!(!is_carried(network, slot).await, "an orphan that was destroyed is not carried");
}

async fn relays_into_a_slot_until_it_is_destroyed(
    network: &dyn Network,
    slot: &Slot,
    other: &Slot,
) {
    let listening = network.listening_ports().await.expect("lists ports");
    let free: Vec<u16> = (30_000..).filter(|port| !listening.contains(port)).take(2).collect();
    let relay = |host_port| Relay { host_port, guest_port: 2222 };
    let early = network.open_relay(slot, relay(free[0])).await;
    assert!(early.is_err(), "no relay leads into a slot that is not built");
    network.build(slot).await.expect("builds");
    network.build(other).await.expect("builds");
    for _ in 0..2 {
        let opened = network.open_relay(slot, relay(free[0])).await.expect("opens");
        assert_eq!(opened, Opened::Serves);
    }
    let opened = network.open_relay(other, relay(free[1])).await.expect("opens");
    assert_eq!(opened, Opened::Serves);
    let listening = network.listening_ports().await.expect("lists ports");
    assert!(free.iter().all(|port| listening.contains(port)), "relays listen");
    network.destroy(slot).await.expect("destroys");
    let left = network.open_relays().await.expect("lists relays");
    assert_eq!(left, [OpenRelay { host_port: free[1], slot: other.index }]);
    network.close_relay(free[1]).await.expect("closes");
    network.close_relay(free[1]).await.expect("closes what is closed");
    let listening = network.listening_ports().await.expect("lists ports");
    assert!(!free.iter().any(|port| listening.contains(port)), "their ports are free again");
    network.destroy(other).await.expect("destroys");
}

async fn is_carried(network: &dyn Network, slot: &Slot) -> bool {
    let carried = network.carried_slots().await.expect("lists what is carried");
    carried.contains(&slot.index)
}
