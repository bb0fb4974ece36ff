//! Writing so that zeros stay holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The unit in which zeros become holes: the block of the usual file systems and the page of a
/// guest's memory.
const BLOCK_BYTES: usize = 4096;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|piece| piece == &ZEROS[..piece.len()])
}

/// Writes `bytes` at `offset`, a multiple of 4096, into a file that has a hole there, leaving out
/// blocks of zeros.
pub(crate) fn write_sparse(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut run: Option<(usize, usize)> = None;
    for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let start = index * BLOCK_BYTES;
        run = match run {
            open if !is_zero(block) => {
                Some((open.map_or(start, |(begin, _)| begin), start + block.len()))
            }
            Some((begin, end)) => {
                file.write_all_at(&bytes[begin..end], offset + begin as u64)?;
                None
            }
            None => None,
        };
    }
    match run {
        Some((begin, end)) => file.write_all_at(&bytes[begin..end], offset + begin as u64),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::files::DataExtents;

    #[test]
    fn zero_blocks_stay_holes_and_the_rest_is_exact() -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        let mut bytes = vec![0; 64 * BLOCK_BYTES + 100];
        bytes[3 * BLOCK_BYTES + 7] = 1;
        bytes[4 * BLOCK_BYTES] = 2;
        bytes[64 * BLOCK_BYTES + 99] = 3;
        file.set_len(bytes.len() as u64)?;

        write_sparse(&file, 0, &bytes)?;

        let mut read = Vec::new();
        file.read_to_end(&mut read)?;
        assert!(read == bytes);
        let data: u64 = DataExtents::new(&file, bytes.len() as u64)
            .map(|extent| extent.map_or(0, |e| e.length_bytes))
            .sum();
        assert!(data <= 2 * BLOCK_BYTES as u64 + 100, "{data} bytes of data");
        Ok(())
    }

    #[test]
    fn one_byte_anywhere_is_not_zero() {
        let mut bytes = vec![0; 200_000];
        assert!(is_zero(&bytes));
        assert!(is_zero(&[]));
        bytes[199_999] = 1;
        assert!(!is_zero(&bytes));
    }
}
