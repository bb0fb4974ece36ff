//! The root file system takes all of its disk: a machine's disk may be larger than its image's.

use std::fs::{self, File};
use std::io;

use crate::sys::grow;

const SECTOR_BYTES: u64 = 512;

/// Grows the root to its disk; says what failed, and goes on with the root as it is.
pub(super) fn grow() {
    match grow_to_disk() {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
            tracing::debug!("the root is no ext4, and stays as large as it is");
        }
        Err(error) => tracing::warn!(%error, "could not grow the root to its disk"),
    }
}

fn grow_to_disk() -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let Some(disk) = root_disk(&mounts) else { return Ok(()) };
    let sectors = fs::read_to_string(format!("/sys/class/block/{disk}/size"))?;
    let sectors: u64 = sectors.trim().parse().map_err(io::Error::other)?;
    let root = File::open("/")?;
    let block_bytes = rustix::fs::fstatvfs(&root)?.f_frsize;
    let blocks = sectors.saturating_mul(SECTOR_BYTES).checked_div(block_bytes);
    grow::ext4(&root, blocks.unwrap_or_default())
}

/// The name of the block device that is mounted at `/`.
fn root_disk(mounts: &str) -> Option<&str> {
    let mut roots = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (source, target) = (words.next()?, words.next()?);
        (target == "/").then(|| source.strip_prefix("/dev/")).flatten()
    });
    roots.next().filter(|name| !name.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_disk_is_the_device_at_the_root() {
        let mounts = "/dev/vda / ext4 rw,noatime 0 0\n/dev/vdb /data ext4 rw 0 0\n";
        assert_eq!(root_disk(mounts), Some("vda"));
        assert_eq!(root_disk("overlay / overlay rw 0 0\n"), None);
        assert_eq!(root_disk("/dev/mapper/a / ext4 rw 0 0\n"), None);
    }
}
