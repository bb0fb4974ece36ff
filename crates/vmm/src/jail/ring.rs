//! A file that keeps the last bytes of a stream and never grows: the console of a guest may write for ever.
//!
//! ```text
//! 0        8          16        24                     24 + capacity
//! | magic  | capacity | written | data, written round and round      |
//! ```
//! Numbers are little-endian. `written` counts every byte that ever came; the newest lies before `written % capacity`. The
//! space is allocated when the file is made, so that a full disk later costs no line, and the writer keeps nothing but the
//! open file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use camino::Utf8Path;
use rustix::fs::FallocateFlags;

const MAGIC: [u8; 8] = *b"CVMRING1";
const HEADER_BYTES: u64 = 24;
const WRITTEN_AT: u64 = 16;

/// How much of a console is kept.
pub const CAPACITY_BYTES: u64 = 64 * 1024;

/// The writing end of a ring.
#[derive(Debug)]
pub struct RingWriter {
    file: File,
    capacity: u64,
    written: u64,
}

impl RingWriter {
    /// Makes an empty ring, in place of whatever was at `path`. Mode 0600.
    pub fn create(path: &Utf8Path, capacity: u64) -> io::Result<Self> {
        if capacity == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a ring of no bytes"));
        }
        remove_if_present(path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let length = HEADER_BYTES + capacity;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length) {
            // Without support by the file system the file is merely sparse.
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(length)?,
            other => other?,
        }
        file.write_all_at(&MAGIC, 0)?;
        file.write_all_at(&capacity.to_le_bytes(), 8)?;
        file.write_all_at(&0_u64.to_le_bytes(), WRITTEN_AT)?;
        Ok(Self { file, capacity, written: 0 })
    }

    /// Adds bytes; the oldest give way.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let surplus = (bytes.len() as u64).saturating_sub(self.capacity);
        let mut at = self.written + surplus;
        let mut rest = &bytes[usize::try_from(surplus).map_err(io::Error::other)?..];
        while !rest.is_empty() {
            let offset = at % self.capacity;
            let room = usize::try_from(self.capacity - offset).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.file.write_all_at(now, HEADER_BYTES + offset)?;
            at += now.len() as u64;
            rest = later;
        }
        self.written = at;
        self.file.write_all_at(&self.written.to_le_bytes(), WRITTEN_AT)
    }
}

/// The last bytes of a ring, at most `limit`, oldest first. A ring that is being written to may show newer bytes where the
/// oldest were; none at all are answered for a file that is absent or no ring.
pub fn read_tail(path: &Utf8Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut header = [0_u8; 24];
    file.read_exact_at(&mut header, 0)?;
    let number = |at: usize| {
        header[at..at + 8].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (capacity, written) = (number(8), number(16));
    let length = file.metadata()?.len();
    if header[..8] != MAGIC || capacity == 0 || length != HEADER_BYTES.saturating_add(capacity) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a console ring"));
    }
    let wanted = written.min(capacity).min(limit as u64);
    let mut tail = vec![0_u8; usize::try_from(wanted).map_err(io::Error::other)?];
    let start = (written - wanted) % capacity;
    let until_end = usize::try_from((capacity - start).min(wanted)).map_err(io::Error::other)?;
    let (first, second) = tail.split_at_mut(until_end);
    file.read_exact_at(first, HEADER_BYTES + start)?;
    file.read_exact_at(second, HEADER_BYTES)?;
    Ok(tail)
}

/// Removes a file left by an earlier run.
pub(super) fn remove_if_present(path: &Utf8Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: u64) -> (tempfile::TempDir, camino::Utf8PathBuf, RingWriter) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("console");
        let writer = RingWriter::create(&path, capacity).unwrap();
        (dir, path, writer)
    }

    #[test]
    fn promise_p10_a_ring_keeps_the_last_bytes_and_never_grows() {
        let (_dir, path, mut writer) = ring(10);
        let size = std::fs::metadata(&path).unwrap().len();

        for chunk in ["abc", "defghij", "k", "lmnopqrstuvwxyz0123456789", "!"] {
            writer.append(chunk.as_bytes()).unwrap();
        }

        assert_eq!(read_tail(&path, 100).unwrap(), b"123456789!");
        assert_eq!(read_tail(&path, 3).unwrap(), b"89!");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
    }

    #[test]
    fn a_ring_that_is_not_full_yields_what_there_is() {
        let (_dir, path, mut writer) = ring(10);
        assert_eq!(read_tail(&path, 100).unwrap(), b"");
        writer.append(b"hello").unwrap();
        assert_eq!(read_tail(&path, 100).unwrap(), b"hello");
        assert_eq!(read_tail(&path, 0).unwrap(), b"");
    }

    #[test]
    fn an_absent_ring_is_empty_and_a_strange_file_is_refused() {
        let (_dir, path, _writer) = ring(10);
        assert_eq!(read_tail(&path.with_extension("absent"), 10).unwrap(), b"");
        std::fs::write(&path, [b'x'; 64]).unwrap();
        assert_eq!(read_tail(&path, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
