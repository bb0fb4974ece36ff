//! FIEMAP: where the blocks of a file lie (`Documentation/filesystems/fiemap.rst` of the kernel).
#![expect(unsafe_code, reason = "no safe wrapper has this ioctl")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use camino::Utf8Path;

/// Blocks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first byte, counted on the device.
    pub(super) start: u64,
    /// How many bytes.
    pub(super) length: u64,
    /// Whether another file has them too.
    pub(super) is_shared: bool,
}

/// `_IOWR('f', 11, struct fiemap)` of linux/fs.h.
const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
const LAST: u32 = 0x1;
/// Not known yet, not allocated yet, or within metadata: no blocks that another file could have.
const NOWHERE: u32 = 0x2 | 0x4 | 0x200;
const SHARED: u32 = 0x2000;
/// How many extents one call answers.
const BATCH: usize = 256;

/// `struct fiemap_extent` of linux/fiemap.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap` of linux/fiemap.h with room for its extents.
#[repr(C)]
struct RawMap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [RawExtent; BATCH],
}

/// The extents of a file, `longest` at most; none on a file system that does not tell.
pub(super) fn extents(path: &Utf8Path, longest: usize) -> io::Result<Vec<Extent>> {
    let file = File::open(path)?;
    let mut found = Vec::new();
    let mut start = 0;
    while found.len() < longest {
        let batch = match map(&file, start) {
            Ok(batch) => batch,
            Err(error) if is_unsupported(&error) => return Ok(vec![]),
            Err(error) => return Err(error),
        };
        let Some(last) = batch.last().copied() else { break };
        found.extend(batch.iter().filter(|raw| raw.flags & NOWHERE == 0).map(|raw| Extent {
            start: raw.physical,
            length: raw.length,
            is_shared: raw.flags & SHARED != 0,
        }));
        if last.flags & LAST != 0 {
            break;
        }
        start = last.logical.saturating_add(last.length);
    }
    found.truncate(longest);
    Ok(found)
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EBADR))
}

fn map(file: &File, start: u64) -> io::Result<Vec<RawExtent>> {
    let mut map = Box::new(RawMap {
        start,
        length: u64::MAX - start,
        flags: 0,
        mapped_extents: 0,
        extent_count: BATCH as u32,
        reserved: 0,
        extents: [RawExtent::default(); BATCH],
    });
    // SAFETY: the descriptor is open for the whole call, and the kernel writes no further than the `extent_count` extents that
    // follow the head, all of which `map` has room for and any bytes of which are valid.
    let answered = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut *map) };
    if answered != 0 {
        return Err(io::Error::last_os_error());
    }
    let count = usize::try_from(map.mapped_extents).unwrap_or(BATCH).min(BATCH);
    Ok(map.extents[..count].to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_head_is_as_long_as_the_kernels_number_says() {
        assert_eq!(std::mem::offset_of!(RawMap, extents), 0x20);
        assert_eq!(std::mem::size_of::<RawExtent>(), 56);
    }

    #[test]
    fn a_synced_file_has_extents_that_hold_it_where_the_file_system_tells() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.as_file().sync_all().unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        let extents = extents(path, 1 << 16).unwrap();
        if extents.is_empty() {
            println!("skipped: the file system of {path} does not tell where blocks lie");
            return;
        }
        let length: u64 = extents.iter().map(|extent| extent.length).sum();
        assert!(length >= 1 << 20, "{extents:?}");
        assert!(extents.iter().all(|extent| !extent.is_shared));
    }
}
