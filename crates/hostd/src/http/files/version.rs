//! Versions of contents.

use sha2::{Digest, Sha256};

/// The first 8 bytes of the SHA-256 of the content, big endian, top bit cleared, as the contract says.
pub(super) fn version_of(content: &[u8]) -> u64 {
    let digest = Sha256::digest(content);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first) & (u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_beginning_of_the_digest_without_its_top_bit() {
        // SHA-256 of nothing begins with e3b0c44298fc1c14, that of "abc" with ba7816bf8f01cfea.
        assert_eq!(version_of(b""), 0x63b0_c442_98fc_1c14);
        assert_eq!(version_of(b"abc"), 0x3a78_16bf_8f01_cfea);
    }
}
