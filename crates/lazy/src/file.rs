//! One lazily filled file: a sparse file, its chunks, and which of them are there.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use crate::presence::Presence;

/// A file that a guest uses while it is filled. Its methods block.
#[derive(Debug)]
pub struct LazyFile {
    /// Its name in the file system.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    chunk_bytes: u64,
    data: File,
    presence: Presence,
    /// Held while a chunk that was fetched is written and marked: what a guest writes comes after.
    filling: Mutex<()>,
}

impl LazyFile {
    /// A file over `data`, which is as large as the file.
    pub fn new(
        name: String,
        size_bytes: u64,
        chunk_bytes: u32,
        data: File,
        presence: Presence,
    ) -> Self {
        let chunk_bytes = u64::from(chunk_bytes).max(1);
        Self { name, size_bytes, chunk_bytes, data, presence, filling: Mutex::new(()) }
    }

    /// The chunks that hold these bytes.
    pub fn chunks_of(&self, offset_bytes: u64, length_bytes: u64) -> Range<u64> {
        let end = offset_bytes.saturating_add(length_bytes);
        offset_bytes / self.chunk_bytes..end.div_ceil(self.chunk_bytes)
    }

    /// Which of them are not there.
    pub fn missing(&self, chunks: Range<u64>) -> Vec<u64> {
        self.presence.missing(chunks)
    }

    /// Whether these bytes can be read at once.
    pub fn has(&self, offset_bytes: u64, length_bytes: u64) -> bool {
        self.chunks_of(offset_bytes, length_bytes).all(|chunk| self.presence.is_present(chunk))
    }

    /// Bytes that are still to be fetched.
    pub fn missing_bytes(&self) -> u64 {
        self.presence.missing_count().saturating_mul(self.chunk_bytes)
    }

    /// Reads bytes that are there; fewer at the end of the file.
    ///
    /// # Errors
    /// When they are not there, or cannot be read.
    pub fn read(&self, offset_bytes: u64, length_bytes: u32) -> io::Result<Vec<u8>> {
        let left = self.size_bytes.saturating_sub(offset_bytes);
        let length = left.min(u64::from(length_bytes));
        if !self.has(offset_bytes, length) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "these bytes are not there yet"));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.data.read_exact_at(&mut bytes, offset_bytes)?;
        Ok(bytes)
    }

    /// Writes bytes of the guest into chunks that are there, so that none of them is fetched over them.
    ///
    /// # Errors
    /// When the chunks are not there, the file would grow, or the bytes cannot be written.
    pub fn write_guest(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        if offset_bytes.saturating_add(length) > self.size_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file does not grow"));
        }
        if !self.has(offset_bytes, length) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "these bytes are not there yet"));
        }
        self.data.write_all_at(bytes, offset_bytes)
    }

    /// Syncs everything that is there, and then the knowledge of it.
    ///
    /// # Errors
    /// When it cannot be synced.
    pub fn sync(&self) -> io::Result<()> {
        self.presence.checkpoint(|| self.data.sync_data())
    }

    /// Keeps a chunk that was fetched and verified, unless it is there already: a guest may have written to it since.
    ///
    /// # Errors
    /// When it cannot be written: then it does not count as there.
    pub fn fill(&self, chunk: u64, bytes: &[u8]) -> io::Result<()> {
        let _filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.presence.is_present(chunk) {
            return Ok(());
        }
        self.data.write_all_at(bytes, chunk.saturating_mul(self.chunk_bytes))?;
        self.presence.mark(chunk)
    }
}
