//! The links of a slot: the tap its guest is plugged into, and the veth pair between namespace and host.
//!
//! ```text
//!  guest 172.16.0.2 == tap0 172.16.0.1 | uplink <runtime address> == <host interface> <host address>
//!                      -------- namespace --------                   -------------- host --------------
//! ```

use std::os::fd::{AsFd, AsRawFd};

use engine::record::Slot;
use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoVeth},
};

use super::{
    error::NetworkError,
    inner::{GATEWAY_ADDRESS, GATEWAY_MAC, GUEST_ADDRESS, GUEST_MAC, PREFIX_LENGTH, TAP, UPLINK},
    netlink::Netlink,
    setting, sys,
};

/// The bits that the two ends of a veth pair share: planning gives each slot four addresses.
const VETH_PREFIX_LENGTH: u8 = 30;

/// Makes the tap, owned by the slot's uid, with the gateway's addresses; the caller is in the namespace, and so is
/// `inside`. The guest's MAC is told to the kernel, so that no clone is ever asked for it.
pub(super) async fn make_tap(slot: &Slot, inside: &Netlink) -> Result<(), NetworkError> {
    sys::make_persistent_tap(TAP, slot.uid)
        .map_err(|source| NetworkError::Tap { name: TAP.to_owned(), source })?;
    let tap = LinkUnspec::new_with_name(TAP).address(GATEWAY_MAC.to_vec()).up().build();
    inside.change_link(TAP, tap).await?;
    inside.add_address(TAP, GATEWAY_ADDRESS, PREFIX_LENGTH).await?;
    inside.add_neighbour(TAP, GUEST_ADDRESS, GUEST_MAC).await
}

/// Makes the veth pair from inside, its other end born in `host_namespace` (moving a link between namespaces would wait
/// for an RCU grace period), and brings up the end inside.
pub(super) async fn make_veth(
    slot: &Slot,
    inside: &Netlink,
    host_namespace: impl AsFd,
) -> Result<(), NetworkError> {
    let peer = LinkMessageBuilder::<LinkUnspec>::default()
        .name(&slot.host_interface)
        .setns_by_fd(host_namespace.as_fd().as_raw_fd())
        .build();
    let pair = LinkVeth::new(UPLINK, &slot.host_interface)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .up()
        .build();
    inside.add_link(UPLINK, pair).await?;
    inside.add_address(UPLINK, slot.runtime_address, VETH_PREFIX_LENGTH).await
}

/// Brings up the host's end. The caller is in the host's namespace, and so is `host`.
pub(super) async fn raise_host_end(slot: &Slot, host: &Netlink) -> Result<(), NetworkError> {
    let interface = &slot.host_interface;
    // No IPv6 towards guests: not even the address that the kernel would give the link by itself.
    setting::write_where_present(&format!("ipv6/conf/{interface}/disable_ipv6"), "1")?;
    // Lets the host's own table lead name queries to a resolver on the loopback; it lets nothing else there.
    setting::write(&format!("ipv4/conf/{interface}/route_localnet"), "1")?;
    host.add_address(interface, slot.host_address, VETH_PREFIX_LENGTH).await?;
    host.set_up(interface).await
}

/// Routes everything else to the host. The host's end must be up.
pub(super) async fn route_to_host(slot: &Slot, inside: &Netlink) -> Result<(), NetworkError> {
    inside.add_default_route(UPLINK, slot.host_address).await
}
