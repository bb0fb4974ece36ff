//! The block of addresses, read from text.

use std::net::Ipv4Addr;

use engine::record::AddressBlock;

/// The longest prefix that leaves room for a handful of slots.
const LONGEST_PREFIX: u8 = 28;
/// Larger blocks than a /8 are nobody's.
const SHORTEST_PREFIX: u8 = 8;

/// Why a text is no address block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It is not written as one.
    #[error("an address block is written like 10.213.0.0/16")]
    Malformed,
    /// The prefix is out of bounds.
    #[error("the prefix of an address block is /{SHORTEST_PREFIX} to /{LONGEST_PREFIX}")]
    Prefix,
    /// Bits are set behind the prefix.
    #[error("the first address of an address block is aligned to its prefix")]
    Unaligned,
    /// The addresses are public.
    #[error(
        "an address block is private (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16) or shared (100.64.0.0/10)"
    )]
    Public,
}

/// Reads an address block.
///
/// # Errors
/// When it is not one, or one that slots cannot use.
pub fn parse_block(text: &str) -> Result<AddressBlock, BlockError> {
    let (first, prefix) = text.split_once('/').ok_or(BlockError::Malformed)?;
    let first: Ipv4Addr = first.parse().map_err(|_| BlockError::Malformed)?;
    let prefix_length: u8 = prefix.parse().map_err(|_| BlockError::Malformed)?;
    if !(SHORTEST_PREFIX..=LONGEST_PREFIX).contains(&prefix_length) {
        return Err(BlockError::Prefix);
    }
    if u32::from(first) << prefix_length != 0 {
        return Err(BlockError::Unaligned);
    }
    let [a, b, ..] = first.octets();
    let is_shared = a == 100 && (64..128).contains(&b) && prefix_length >= 10;
    if !first.is_private() && !is_shared {
        return Err(BlockError::Public);
    }
    Ok(AddressBlock { first, prefix_length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_block_is_private_aligned_and_of_a_useful_size() {
        let block = AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 16 };
        assert_eq!(parse_block("10.213.0.0/16"), Ok(block));
        assert!(parse_block("100.64.0.0/12").is_ok());
        assert_eq!(parse_block("10.213.0.0"), Err(BlockError::Malformed));
        assert_eq!(parse_block("10.213.0/16"), Err(BlockError::Malformed));
        assert_eq!(parse_block("10.213.0.0/+16x"), Err(BlockError::Malformed));
        assert_eq!(parse_block("10.213.0.4/16"), Err(BlockError::Unaligned));
        assert_eq!(parse_block("10.213.0.0/30"), Err(BlockError::Prefix));
        assert_eq!(parse_block("8.8.0.0/16"), Err(BlockError::Public));
    }
}
