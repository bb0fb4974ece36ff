//! Where a sparse file has data and where it has holes.

use std::fs::File;
use std::io;

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

/// A stretch of a file that the file system says holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset_bytes: u64,
    /// How long it is, never zero.
    pub length_bytes: u64,
}

impl Extent {
    /// The first byte past it.
    pub fn end_bytes(self) -> u64 {
        self.offset_bytes + self.length_bytes
    }
}

/// The data extents of a file in order, by SEEK_DATA and SEEK_HOLE; what lies between them reads as
/// zeros.
///
/// Extents may hold zeros too: a file system without holes answers one extent for the whole file.
/// Moves the file's offset, so readers beside it must use positioned reads.
#[derive(Debug)]
pub struct DataExtents<'file> {
    file: &'file File,
    position: u64,
    size_bytes: u64,
}

impl<'file> DataExtents<'file> {
    /// The extents of the first `size_bytes` of a file.
    pub fn new(file: &'file File, size_bytes: u64) -> Self {
        Self { file, position: 0, size_bytes }
    }

    fn find_data(&self) -> Result<Option<Extent>, Errno> {
        if self.position >= self.size_bytes {
            return Ok(None);
        }
        let offset_bytes = match rustix::fs::seek(self.file, SeekFrom::Data(self.position)) {
            Ok(offset) if offset < self.size_bytes => offset,
            // ENXIO: only a hole is left.
            Ok(_) | Err(Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let end = rustix::fs::seek(self.file, SeekFrom::Hole(offset_bytes))?.min(self.size_bytes);
        Ok(Some(Extent { offset_bytes, length_bytes: end - offset_bytes }))
    }
}

impl Iterator for DataExtents<'_> {
    type Item = io::Result<Extent>;

    fn next(&mut self) -> Option<io::Result<Extent>> {
        match self.find_data() {
            Ok(Some(extent)) => {
                self.position = extent.end_bytes();
                Some(Ok(extent))
            }
            Ok(None) => None,
            Err(errno) => {
                self.position = self.size_bytes;
                Some(Err(errno.into()))
            }
        }
    }
}

/// Makes a stretch of a file a hole again.
pub(crate) fn punch_hole(file: &File, extent: Extent) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, extent.offset_bytes, extent.length_bytes)?)
}
