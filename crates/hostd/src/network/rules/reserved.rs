//! Addresses that are not public: what a guest with open egress may not reach.

use std::net::Ipv4Addr;

use super::range::Ipv4Range;

/// Every range that the IANA special-purpose registry (RFC 6890 and its updates) does not mark as globally reachable,
/// multicast, and the one platform address that a cloud keeps in public space.
pub(super) const NOT_PUBLIC: [Ipv4Range; 16] = [
    range([0, 0, 0, 0], 8),        // this host on this network, RFC 791
    range([10, 0, 0, 0], 8),       // private, RFC 1918
    range([100, 64, 0, 0], 10),    // carrier-grade NAT, RFC 6598; some clouds keep metadata here
    range([127, 0, 0, 0], 8),      // loopback, RFC 1122
    range([168, 63, 129, 16], 32), // Azure's platform address: metadata, DNS, agent
    range([169, 254, 0, 0], 16),   // link-local, RFC 3927; most clouds' metadata at 169.254.169.254
    range([172, 16, 0, 0], 12),    // private, RFC 1918
    range([192, 0, 0, 0], 24),     // protocol assignments, RFC 6890; one cloud's metadata
    range([192, 0, 2, 0], 24),     // documentation, RFC 5737
    range([192, 88, 99, 0], 24),   // 6to4 relays, withdrawn, RFC 7526
    range([192, 168, 0, 0], 16),   // private, RFC 1918
    range([198, 18, 0, 0], 15),    // benchmarks, RFC 2544
    range([198, 51, 100, 0], 24),  // documentation, RFC 5737
    range([203, 0, 113, 0], 24),   // documentation, RFC 5737
    range([224, 0, 0, 0], 4),      // multicast, RFC 5771
    range([240, 0, 0, 0], 4),      // reserved, RFC 1112, with limited broadcast
];

const fn range(first: [u8; 4], prefix_length: u8) -> Ipv4Range {
    let [a, b, c, d] = first;
    Ipv4Range::around(Ipv4Addr::new(a, b, c, d), prefix_length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_public(address: [u8; 4]) -> bool {
        !NOT_PUBLIC.iter().any(|range| range.contains(address.into()))
    }

    #[test]
    fn private_link_local_metadata_and_multicast_addresses_are_not_public_promise_p10() {
        let refused: [[u8; 4]; 16] = [
            [0, 0, 0, 0],
            [10, 1, 2, 3],
            [100, 100, 100, 200],
            [127, 0, 0, 53],
            [168, 63, 129, 16],
            [169, 254, 169, 254],
            [172, 16, 0, 1],
            [172, 31, 255, 255],
            [192, 0, 0, 192],
            [192, 168, 1, 1],
            [198, 19, 255, 255],
            [203, 0, 113, 9],
            [224, 0, 0, 251],
            [239, 255, 255, 250],
            [240, 0, 0, 1],
            [255, 255, 255, 255],
        ];
        for address in refused {
            assert!(!is_public(address), "{address:?}");
        }
    }

    #[test]
    fn addresses_beside_the_reserved_ranges_are_public() {
        let allowed: [[u8; 4]; 9] = [
            [1, 1, 1, 1],
            [9, 255, 255, 255],
            [11, 0, 0, 0],
            [100, 63, 255, 255],
            [172, 15, 255, 255],
            [172, 32, 0, 0],
            [192, 167, 255, 255],
            [198, 20, 0, 0],
            [223, 255, 255, 255],
        ];
        for address in allowed {
            assert!(is_public(address), "{address:?}");
        }
    }

    #[test]
    fn the_ranges_do_not_overlap_as_an_interval_set_requires() {
        for (index, one) in NOT_PUBLIC.iter().enumerate() {
            for other in &NOT_PUBLIC[index + 1..] {
                assert!(!one.overlaps(other), "{one} and {other}");
            }
        }
    }
}
