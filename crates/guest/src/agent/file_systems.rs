//! File systems take all of their disks: a machine's disk may be larger than its image's, and disks grow while it runs.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use crate::sys::grow;

const SECTOR_BYTES: u64 = 512;
/// Between two looks at a disk that is to become larger.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Grows every mounted ext4 to its disk; says what failed, and goes on with it as it is. Answers how many there are.
pub(crate) fn grow_all() -> io::Result<usize> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut count = 0;
    for (disk, target) in disks(&mounts) {
        match grow_to_disk(disk, target) {
            Ok(()) => count += 1,
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                tracing::debug!(target, "it is no ext4, and stays as large as it is");
            }
            Err(error) => tracing::warn!(%error, target, "could not grow it to its disk"),
        }
    }
    Ok(count)
}

/// Waits until the kernel sees a disk, counted from vda, as large as this. The device tells it, and it takes a moment.
pub(crate) async fn await_size(disk: u32, size_bytes: u64) -> io::Result<()> {
    let letter = u8::try_from(disk).ok().and_then(|disk| b'a'.checked_add(disk));
    let Some(letter) = letter.filter(u8::is_ascii_lowercase).map(char::from) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let name = format!("vd{letter}");
    while size(&name)? < size_bytes {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

fn size(disk: &str) -> io::Result<u64> {
    let sectors = fs::read_to_string(format!("/sys/class/block/{disk}/size"))?;
    let sectors: u64 = sectors.trim().parse().map_err(io::Error::other)?;
    Ok(sectors.saturating_mul(SECTOR_BYTES))
}

fn grow_to_disk(disk: &str, target: &str) -> io::Result<()> {
    let directory = File::open(target)?;
    let block_bytes = rustix::fs::fstatvfs(&directory)?.f_frsize;
    let blocks = size(disk)?.checked_div(block_bytes);
    grow::ext4(&directory, blocks.unwrap_or_default())
}

/// Disks with the place where each is mounted first; those mounted at names with spaces are not ours.
fn disks(mounts: &str) -> Vec<(&str, &str)> {
    let mut disks: Vec<(&str, &str)> = Vec::new();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(source), Some(target)) = (words.next(), words.next()) else { continue };
        let Some(disk) = source.strip_prefix("/dev/").filter(|name| !name.contains('/')) else {
            continue;
        };
        if disks.iter().all(|(other, _)| *other != disk) && !target.contains('\\') {
            disks.push((disk, target));
        }
    }
    disks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disk_is_found_once_where_it_is_mounted_first() {
        let mounts = "/dev/vda / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n\
            /dev/vdb /volumes/data ext4 rw 0 0\n/dev/vdb /srv ext4 rw 0 0\n";
        assert_eq!(disks(mounts), [("vda", "/"), ("vdb", "/volumes/data")]);
        assert_eq!(disks("overlay / overlay rw 0 0\n/dev/mapper/a / ext4 rw 0 0\n"), []);
        assert_eq!(disks("/dev/vdc /a\\040b ext4 rw 0 0\n"), []);
    }
}
