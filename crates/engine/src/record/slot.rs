//! A slot: namespace, address pair and uid together, used by one run of one machine and then destroyed.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The block of addresses from which slots take theirs. Each slot uses four, a /30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressBlock {
    /// The first address, aligned to the prefix.
    pub first: Ipv4Addr,
    /// The prefix length, at most 28.
    pub prefix_length: u8,
}

impl AddressBlock {
    /// How many slots fit.
    pub fn slots(&self) -> u32 {
        (1_u32 << (32 - u32::from(self.prefix_length))) / 4
    }
}

/// What one run holds of the host's network and uids. Every name is derived from `host_id` and `index`, so that it can be
/// found again by name after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Its number on this host, from 0.
    pub index: u32,
    /// The network namespace, also the name of its file in `/run/netns`: `c<host>-<index>`.
    pub namespace: String,
    /// The host's end of the veth pair, at most 15 characters: `c<host>-<index>`.
    pub host_interface: String,
    /// The address of the host's end.
    pub host_address: Ipv4Addr,
    /// The address of the namespace's end, at which this host reaches the guest (`runtime_host`).
    pub runtime_address: Ipv4Addr,
    /// The uid and gid under which the VMM runs.
    pub uid: u32,
}

impl Slot {
    /// The slot with this number. `host_id` is eight hex digits; the first five name interfaces, which leaves room for indices below 10^8.
    pub fn new(host_id: &str, block: AddressBlock, first_uid: u32, index: u32) -> Self {
        let name = format!("c{}-{index}", &host_id[..host_id.len().min(5)]);
        let base = u32::from(block.first) + index * 4;
        Self {
            index,
            namespace: name.clone(),
            host_interface: name,
            host_address: Ipv4Addr::from(base + 1),
            runtime_address: Ipv4Addr::from(base + 2),
            uid: first_uid + index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_its_own_four_addresses_and_a_name_that_fits_an_interface() {
        let block = AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 16 };
        assert_eq!(block.slots(), 16_384);
        let slot = Slot::new("0123abcd", block, 200_000, 16_383);
        assert_eq!(slot.namespace, "c0123a-16383");
        assert!(slot.host_interface.len() <= 15);
        assert_eq!(slot.host_address, Ipv4Addr::new(10, 213, 255, 253));
        assert_eq!(slot.runtime_address, Ipv4Addr::new(10, 213, 255, 254));
        assert_eq!(slot.uid, 216_383);
    }
}
