//! The file that a download grows in, beside its target, until all of it is verified. Everything here blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, Mode};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::error::TransferError;
use crate::files::{self, DurableError};
use crate::manifest::FileEntry;
use crate::seal::{FileToHash, HashError, hash_data_chunks};

/// `<target>.part`, locked, so that a second download to the same target fails instead of mixing in.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    path: Utf8PathBuf,
    target: Utf8PathBuf,
}

impl Scratch {
    /// Opens what an earlier try left, or makes a new one; a target that exists is refused.
    pub(super) fn open(target: &Utf8Path) -> Result<Self, TransferError> {
        let target = target.to_owned();
        if target.symlink_metadata().is_ok() {
            return Err(DurableError::Exists { path: target }.into());
        }
        let path = Utf8PathBuf::from(format!("{target}.part"));
        let file = match files::create_new(&path, 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                files::open_regular_for_writing(&path)
            }
            created => created,
        };
        let file = file.map_err(TransferError::local("open", &path))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| TransferError::local("lock", &path)(errno.into()))?;
        let scratch = Self { file, path, target };
        scratch.check_not_moved()?;
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Forgets all content, and takes a size of which everything is a hole.
    pub(super) fn clear(&self, size_bytes: u64) -> Result<(), TransferError> {
        self.set_size(0)?;
        self.set_size(size_bytes)
    }

    /// Keeps the chunks of an earlier try that are as the entry says, and makes holes of all else. Answers the chunks
    /// kept. Nothing of the earlier try is trusted but what hashes right.
    pub(super) fn reuse(
        &self,
        entry: &FileEntry,
        threads: usize,
    ) -> Result<Vec<u64>, TransferError> {
        self.set_size(entry.size_bytes())?;
        let to_hash = FileToHash {
            file: &self.file,
            size_bytes: entry.size_bytes(),
            chunk_bytes: entry.chunk_bytes(),
        };
        let found = match hash_data_chunks(&[to_hash], threads, &CancellationToken::new()) {
            Ok(lists) => lists.into_iter().flatten(),
            Err(HashError::Cancelled) => {
                return Err(self.error("hash", io::ErrorKind::Interrupted.into()));
            }
            Err(HashError::Read { source, .. }) => return Err(self.error("read", source)),
        };
        let (kept, other): (BTreeMap<_, _>, BTreeMap<_, _>) =
            found.partition(|(chunk, digest)| entry.chunks().digest(*chunk) == Some(*digest));
        let punched = other
            .keys()
            .try_for_each(|chunk| files::punch_hole(&self.file, entry.chunk_extent(*chunk)));
        if let Err(error) = punched {
            debug!(path = %self.path, %error, "no holes here, so nothing of an earlier download is kept");
            self.clear(entry.size_bytes())?;
            return Ok(Vec::new());
        }
        Ok(kept.into_keys().collect())
    }

    /// Writes bytes where there is a hole, leaving their zeros holes. `offset_bytes` is a multiple of 4096.
    pub(super) fn write(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), TransferError> {
        files::write_sparse(&self.file, offset_bytes, bytes)
            .map_err(|source| self.error("write", source))
    }

    pub(super) fn set_size(&self, size_bytes: u64) -> Result<(), TransferError> {
        self.file.set_len(size_bytes).map_err(|source| self.error("set size of", source))
    }

    /// Gives the file, all of it verified, its final name and mode, durably.
    pub(super) fn finish(&self, mode: u32) -> Result<(), TransferError> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))
            .map_err(|errno| self.error("set mode of", errno.into()))?;
        files::sync_file(&self.file, &self.path)?;
        Ok(files::publish(&self.path, &self.target)?)
    }

    /// Removes the file, which must not be used. A removal that fails is logged: the next try clears it anyway.
    pub(super) fn discard(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!(path = %self.path, %error, "a download that failed could not be removed");
        }
    }

    /// The lock is on an inode: make sure that another download did not rename it while we waited for the lock.
    fn check_not_moved(&self) -> Result<(), TransferError> {
        let mine = self.file.metadata().map_err(|source| self.error("stat", source))?;
        let named = self.path.symlink_metadata().map_err(|source| self.error("stat", source))?;
        if (mine.dev(), mine.ino()) != (named.dev(), named.ino()) {
            return Err(self.error("lock", io::ErrorKind::WouldBlock.into()));
        }
        Ok(())
    }

    fn error(&self, operation: &'static str, source: io::Error) -> TransferError {
        TransferError::local(operation, &self.path)(source)
    }
}
