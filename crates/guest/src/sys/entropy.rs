//! Adds randomness to the kernel's generator: see random(4).
#![expect(unsafe_code, reason = "the ioctls of /dev/random take a variable-length struct")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use crate::limits::SEED_BYTES;

/// `_IOW('R', 0x03, int[2])` of linux/random.h.
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)`.
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

const WORD_BYTES: usize = size_of::<u32>();
const MOST_WORDS: usize = *SEED_BYTES.end() / WORD_BYTES;

/// `struct rand_pool_info`, with room for the longest seed.
#[repr(C)]
struct PoolInfo {
    entropy_bits: libc::c_int,
    seed_bytes: libc::c_int,
    seed: [u32; MOST_WORDS],
}

/// The generator, for [`reseed`].
pub(crate) fn open() -> io::Result<File> {
    OpenOptions::new().write(true).open("/dev/urandom")
}

/// Credits the seed in full and makes the generator reseed from it at once. The rest of a last partial word is lost.
///
/// # Errors
/// Without CAP_SYS_ADMIN, or for a seed that is too short or too long.
pub(crate) fn reseed(device: &File, seed: &[u8]) -> io::Result<()> {
    if !SEED_BYTES.contains(&seed.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut info = PoolInfo { entropy_bits: 0, seed_bytes: 0, seed: [0; MOST_WORDS] };
    let mut words = 0;
    for (word, bytes) in info.seed.iter_mut().zip(seed.as_chunks::<WORD_BYTES>().0) {
        *word = u32::from_ne_bytes(*bytes);
        words += 1;
    }
    let bytes = i32::try_from(words * WORD_BYTES).expect("a seed has at most 512 bytes");
    info.seed_bytes = bytes;
    info.entropy_bits = bytes * 8;

    // SAFETY: the descriptor is open for the whole call; the kernel reads a `rand_pool_info` and `seed_bytes` bytes
    // behind its two integers, all of which lie inside `info`, whose layout is C's.
    let added = unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const info) };
    if added != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this request takes no argument, the descriptor is open.
    let reseeded = unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG, 0) };
    if reseeded != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_of_a_wrong_length_is_refused() {
        for length in [0, 31, 513] {
            let error =
                reseed(&open().unwrap(), &vec![7; length]).expect_err("too short or too long");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn the_kernel_takes_a_seed_promise_p8() {
        match open().and_then(|device| reseed(&device, &[7; 32])) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("skipped: no right to add entropy here ({error})");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
