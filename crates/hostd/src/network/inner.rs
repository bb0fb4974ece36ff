//! What every guest sees, the same in every namespace, so that a snapshot fits wherever it is restored.

use std::net::Ipv4Addr;

/// The tap, the guest's end of which is its `eth0`.
pub const TAP: &str = "tap0";

/// The namespace's end of the veth pair.
pub const UPLINK: &str = "uplink";

/// The guest's address.
pub const GUEST_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 2);

/// The address of the tap: the guest's gateway and its only name server.
pub const GATEWAY_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);

/// How many bits the two share.
pub const PREFIX_LENGTH: u8 = 30;

/// The guest's MAC address (`06:00` and its address).
pub const GUEST_MAC: [u8; 6] = [0x06, 0x00, 172, 16, 0, 2];

/// The gateway's MAC address. Fixed, because the guest's ARP cache comes from the snapshot.
pub const GATEWAY_MAC: [u8; 6] = [0x06, 0x00, 172, 16, 0, 1];
