//! A range of IPv4 addresses with a common prefix.

use std::{fmt, net::Ipv4Addr};

use engine::record::AddressBlock;

/// All addresses that share the first `prefix_length` bits of `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Range {
    /// The first address.
    pub first: Ipv4Addr,
    /// How many leading bits all addresses share, at most 32.
    pub prefix_length: u8,
}

impl Ipv4Range {
    /// The range of `prefix_length` bits (at most 32) in which `address` lies.
    pub const fn around(address: Ipv4Addr, prefix_length: u8) -> Self {
        Self { first: Ipv4Addr::from_bits(address.to_bits() & mask(prefix_length)), prefix_length }
    }

    /// True when `address` lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix_length) == self.first.to_bits()
    }

    /// True when the two have an address in common; then one lies in the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

impl From<AddressBlock> for Ipv4Range {
    fn from(block: AddressBlock) -> Self {
        Self::around(block.first, block.prefix_length)
    }
}

impl fmt::Display for Ipv4Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix_length)
    }
}

/// The leading bits; a prefix of no bits, whose shift would overflow, is all addresses.
const fn mask(prefix_length: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix_length as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: [u8; 4], prefix_length: u8) -> Ipv4Range {
        Ipv4Range::around(first.into(), prefix_length)
    }

    #[test]
    fn a_range_contains_its_first_and_last_address_and_not_their_neighbours() {
        let block = range([100, 64, 0, 0], 10);
        assert!(block.contains([100, 64, 0, 0].into()));
        assert!(block.contains([100, 127, 255, 255].into()));
        assert!(!block.contains([100, 63, 255, 255].into()));
        assert!(!block.contains([100, 128, 0, 0].into()));
    }

    #[test]
    fn ranges_overlap_when_one_lies_in_the_other_whichever_is_asked() {
        let wide = range([10, 0, 0, 0], 8);
        let narrow = range([10, 213, 0, 0], 16);
        let other = range([10, 214, 0, 0], 16);
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide));
        assert!(!narrow.overlaps(&other) && !other.overlaps(&narrow));
        assert!(range([0, 0, 0, 0], 0).overlaps(&narrow));
        assert!(range([8, 8, 8, 8], 32).contains([8, 8, 8, 8].into()));
    }
}
