//! Versions of contents.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// The first 8 bytes of the SHA-256, big endian, top bit cleared, as the contract says.
pub(super) fn version_of(mut content: impl Read) -> io::Result<u64> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => digest.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digest = digest.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    Ok(u64::from_be_bytes(first) & (u64::MAX >> 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_beginning_of_the_digest_without_its_top_bit() {
        // SHA-256 of nothing begins with e3b0c44298fc1c14.
        assert_eq!(version_of(io::empty()).unwrap(), 0x63b0_c442_98fc_1c14);
    }
}
