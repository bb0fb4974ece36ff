//! Which chunks of a file are there: a bit each, in two files.
//!
//! `present` is written with every chunk and believed for as long as the host runs: it outlives any
//! process, but a power cut may leave its bits on disk without the data. `synced` holds only bits of
//! data that was synced before, and is what counts after a boot. A chunk without a bit is fetched
//! again whole, so a bit is set before the first write of a guest to a chunk is accepted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a file of bits begins with.
const MAGIC: &[u8; 8] = b"LAZYBIT1";
/// Magic, boot id and padding.
const HEADER_BYTES: u64 = 64;
const BOOT_ID_BYTES: usize = 36;

/// The bits of one file. Everything here blocks, for a moment.
#[derive(Debug)]
pub struct Presence {
    bits: Mutex<Vec<u8>>,
    present: File,
    synced: File,
    chunks: u64,
}

impl Presence {
    /// Reads what is known of `chunks` chunks. `is_hole` says which need no data at all.
    ///
    /// # Errors
    /// When the files cannot be read or written.
    pub fn open(
        present: File,
        synced: File,
        boot_id: &str,
        chunks: u64,
        is_hole: impl Fn(u64) -> bool,
    ) -> io::Result<Self> {
        let length = usize::try_from(chunks.div_ceil(8)).map_err(io::Error::other)?;
        let mut bits = match read_bits(&present, Some(boot_id), length)? {
            Some(bits) => bits,
            None => read_bits(&synced, None, length)?.unwrap_or_else(|| vec![0; length]),
        };
        for chunk in (0..chunks).filter(|chunk| is_hole(*chunk)) {
            set(&mut bits, chunk);
        }
        write_bits(&present, boot_id, &bits)?;
        Ok(Self { bits: Mutex::new(bits), present, synced, chunks })
    }

    /// Whether a chunk is there. One past the end is: there is nothing to fetch for it.
    pub fn is_present(&self, chunk: u64) -> bool {
        chunk >= self.chunks || is_set(&self.bits(), chunk)
    }

    /// The chunks of a range that are not there.
    pub fn missing(&self, chunks: std::ops::Range<u64>) -> Vec<u64> {
        let bits = self.bits();
        (chunks.start..chunks.end.min(self.chunks)).filter(|chunk| !is_set(&bits, *chunk)).collect()
    }

    /// How many chunks are not there.
    pub fn missing_count(&self) -> u64 {
        let bits = self.bits();
        (0..self.chunks).filter(|chunk| !is_set(&bits, *chunk)).count() as u64
    }

    /// Notes that a chunk's data was written.
    ///
    /// # Errors
    /// When the bit could not be written: then the chunk does not count as there.
    pub fn mark(&self, chunk: u64) -> io::Result<()> {
        let mut bits = self.bits();
        let index = byte_of(chunk);
        let mut byte = bits[index];
        byte |= 1 << (chunk % 8);
        self.present.write_all_at(&[byte], HEADER_BYTES + index as u64)?;
        bits[index] = byte;
        Ok(())
    }

    /// Syncs data that was written before, by `sync`, and then the bits of it.
    ///
    /// # Errors
    /// When either fails: then only what was synced earlier outlives a power cut.
    pub fn checkpoint(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let bits = self.bits().clone();
        sync()?;
        write_bits(&self.synced, "", &bits)?;
        self.synced.sync_data()
    }

    fn bits(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many chunks are not there, by a file of bits of this boot that others write; none where there is no such file yet.
///
/// # Errors
/// When it cannot be read.
pub fn missing_in(present: &File, boot_id: &str, chunks: u64) -> io::Result<Option<u64>> {
    let length = usize::try_from(chunks.div_ceil(8)).map_err(io::Error::other)?;
    let bits = read_bits(present, Some(boot_id), length)?;
    Ok(bits.map(|bits| (0..chunks).filter(|chunk| !is_set(&bits, *chunk)).count() as u64))
}

fn byte_of(chunk: u64) -> usize {
    usize::try_from(chunk / 8).unwrap_or(usize::MAX)
}

fn is_set(bits: &[u8], chunk: u64) -> bool {
    bits.get(byte_of(chunk)).is_some_and(|byte| byte & (1 << (chunk % 8)) != 0)
}

fn set(bits: &mut [u8], chunk: u64) {
    if let Some(byte) = bits.get_mut(byte_of(chunk)) {
        *byte |= 1 << (chunk % 8);
    }
}

/// The bits of a file that is whole, and of this boot where one is asked for.
fn read_bits(file: &File, boot_id: Option<&str>, length: usize) -> io::Result<Option<Vec<u8>>> {
    let header_length = usize::try_from(HEADER_BYTES).map_err(io::Error::other)?;
    if file.metadata()?.len() != HEADER_BYTES + length as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; header_length + length];
    file.read_exact_at(&mut bytes, 0)?;
    let bits = bytes.split_off(header_length);
    let is_ours = bytes.starts_with(MAGIC)
        && boot_id.is_none_or(|id| bytes[MAGIC.len()..].starts_with(&padded(id)));
    Ok(is_ours.then_some(bits))
}

fn write_bits(file: &File, boot_id: &str, bits: &[u8]) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(padded(boot_id));
    bytes.resize(usize::try_from(HEADER_BYTES).map_err(io::Error::other)?, 0);
    bytes.extend_from_slice(bits);
    file.set_len(bytes.len() as u64)?;
    file.write_all_at(&bytes, 0)
}

fn padded(boot_id: &str) -> [u8; BOOT_ID_BYTES] {
    let mut padded = [0; BOOT_ID_BYTES];
    for (to, from) in padded.iter_mut().zip(boot_id.bytes()) {
        *to = from;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "11111111-1111-1111-1111-111111111111";
    const NEXT_BOOT: &str = "22222222-2222-2222-2222-222222222222";

    struct Bits(tempfile::TempDir);

    impl Bits {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        fn open(&self, boot: &str) -> Presence {
            let file = |name| {
                let mut options = File::options();
                options.read(true).write(true).create(true).truncate(false);
                options.open(self.0.path().join(name)).expect("a file")
            };
            Presence::open(file("present"), file("synced"), boot, 20, |chunk| chunk == 3)
                .expect("bits")
        }
    }

    #[test]
    fn holes_need_no_data_and_what_was_marked_outlives_the_server() {
        let bits = Bits::new();
        let presence = bits.open(BOOT);
        assert_eq!(presence.missing(0..6), [0, 1, 2, 4, 5]);
        presence.mark(4).expect("marked");
        drop(presence);

        let again = bits.open(BOOT);
        assert_eq!(again.missing(0..6), [0, 1, 2, 5]);
        assert_eq!((again.missing_count(), again.is_present(20)), (18, true));
    }

    #[test]
    fn after_a_boot_only_bits_of_synced_data_count() {
        let bits = Bits::new();
        let presence = bits.open(BOOT);
        presence.mark(0).expect("marked");
        presence.checkpoint(|| Ok(())).expect("synced");
        presence.mark(1).expect("marked");
        let failed = presence.checkpoint(|| Err(io::Error::other("no room")));
        assert!(failed.is_err());
        drop(presence);

        assert_eq!(bits.open(NEXT_BOOT).missing(0..3), [1, 2]);
    }

    #[test]
    fn bits_of_another_length_are_not_believed() {
        let bits = Bits::new();
        let presence = bits.open(BOOT);
        presence.mark(0).expect("marked");
        drop(presence);
        let path = bits.0.path().join("present");
        File::options().write(true).open(path).expect("the bits").set_len(65).expect("cut");

        assert_eq!(bits.open(BOOT).missing(0..2), [0, 1]);
    }
}
