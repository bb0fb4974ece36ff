//! SHA-256 of a raw file, holes included.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::extents::DataExtents;
use super::open::open_regular;
use crate::digest::Sha256Digest;

/// Bytes read, or zeros hashed, between two looks at the cancellation.
const BUFFER_BYTES: usize = 1024 * 1024;

static ZEROS: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];

/// A sum that was not computed.
#[derive(Debug, thiserror::Error)]
pub enum Sha256Error {
    /// The caller cancelled.
    #[error("hashing {path} was cancelled")]
    Cancelled {
        /// Which file.
        path: Utf8PathBuf,
    },
    /// The file could not be read.
    #[error("read {path} to hash it")]
    Read {
        /// Which file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The SHA-256 and the size of a file as a reader sees it. Holes are hashed as zeros without being
/// read.
pub fn sha256_file(
    path: &Utf8Path,
    cancel: &CancellationToken,
) -> Result<(Sha256Digest, u64), Sha256Error> {
    let read = |source| Sha256Error::Read { path: path.to_owned(), source };
    let file = open_regular(path).map_err(read)?;
    let size_bytes = file.metadata().map_err(read)?.len();
    let mut sum = Sum {
        file: &file,
        hasher: Sha256::new(),
        buffer: vec![0; BUFFER_BYTES],
        position: 0,
        cancel,
    };
    let finished = sum.run(size_bytes).map_err(read)?;
    if !finished {
        return Err(Sha256Error::Cancelled { path: path.to_owned() });
    }
    Ok((Sha256Digest::from_bytes(sum.hasher.finalize().into()), size_bytes))
}

struct Sum<'run> {
    file: &'run File,
    hasher: Sha256,
    buffer: Vec<u8>,
    position: u64,
    cancel: &'run CancellationToken,
}

impl Sum<'_> {
    /// Hashes the whole file; false when it was cancelled on the way.
    fn run(&mut self, size_bytes: u64) -> io::Result<bool> {
        for extent in DataExtents::new(self.file, size_bytes) {
            let extent = extent?;
            if !self.zeros_until(extent.offset_bytes) || !self.data_until(extent.end_bytes())? {
                return Ok(false);
            }
        }
        Ok(self.zeros_until(size_bytes))
    }

    fn zeros_until(&mut self, end: u64) -> bool {
        while let Some(length) = self.next_length(end) {
            if self.cancel.is_cancelled() {
                return false;
            }
            self.hasher.update(&ZEROS[..length]);
            self.position += length as u64;
        }
        true
    }

    fn data_until(&mut self, end: u64) -> io::Result<bool> {
        while let Some(length) = self.next_length(end) {
            if self.cancel.is_cancelled() {
                return Ok(false);
            }
            self.file.read_exact_at(&mut self.buffer[..length], self.position)?;
            self.hasher.update(&self.buffer[..length]);
            self.position += length as u64;
        }
        Ok(true)
    }

    fn next_length(&self, end: u64) -> Option<usize> {
        let left = end.saturating_sub(self.position);
        (left > 0)
            .then(|| usize::try_from(left).map_or(BUFFER_BYTES, |left| left.min(BUFFER_BYTES)))
    }
}
