//! The file that a download grows in, beside its target, until all of it is verified. Everything
//! here blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, Mode};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::error::TransferError;
use crate::files::{self, DurableError, Extent};
use crate::manifest::FileEntry;
use crate::seal::{FileToHash, HashError, hash_data_chunks};

/// How long the lock of a cancelled download is waited for: the time of the write that it had
/// begun.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Whether a downloaded file must survive a crash of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced, with its directory, before the call returns: disks, artifacts, whatever a record
    /// will speak of.
    Synced,
    /// Left in the page cache: worthless after a crash of the host, such as the memory of a machine
    /// about to run, and up to twice as fast.
    Transient,
}

/// `<target>.part`, locked, so that a second download to the same target fails instead of mixing
/// in.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    path: Utf8PathBuf,
    target: Utf8PathBuf,
    durability: Durability,
}

impl Scratch {
    /// Opens what an earlier try left, or makes a new one; a target that exists is refused.
    pub(super) fn open(target: &Utf8Path, durability: Durability) -> Result<Self, TransferError> {
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
        lock(&file).map_err(TransferError::local("lock", &path))?;
        let scratch = Self { file, path, target, durability };
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

    /// Keeps the chunks of an earlier try that are as the entry says, and makes holes of all else.
    /// Answers the chunks kept. Nothing of the earlier try is trusted but what hashes right.
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
            debug!(path = %self.path, %error, "no holes here, an earlier download is not kept");
            self.clear(entry.size_bytes())?;
            return Ok(Vec::new());
        }
        Ok(kept.into_keys().collect())
    }

    /// Writes bytes where there is a hole, leaving their zeros holes. `offset_bytes` is a multiple
    /// of 4096.
    pub(super) fn write(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), TransferError> {
        files::write_sparse(&self.file, offset_bytes, bytes)
            .map_err(|source| self.error("write", source))?;
        if self.durability == Durability::Synced {
            // So that the disk works while the network does, and the sync at the end finds little
            // to do.
            let extent = Extent { offset_bytes, length_bytes: bytes.len() as u64 };
            files::begin_writeback(&self.file, extent);
        }
        Ok(())
    }

    pub(super) fn set_size(&self, size_bytes: u64) -> Result<(), TransferError> {
        self.file.set_len(size_bytes).map_err(|source| self.error("set size of", source))
    }

    /// Gives the file, all of it verified, its final name and mode.
    pub(super) fn finish(&self, mode: u32) -> Result<(), TransferError> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))
            .map_err(|errno| self.error("set mode of", errno.into()))?;
        match self.durability {
            Durability::Synced => {
                files::sync_file(&self.file, &self.path)?;
                files::publish(&self.path, &self.target)?;
            }
            Durability::Transient => files::rename_into_place(&self.path, &self.target)?,
        }
        Ok(())
    }

    /// Removes the file, which must not be used. A removal that fails is logged: the next try
    /// clears it anyway.
    pub(super) fn discard(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!(path = %self.path, %error, "a download that failed could not be removed");
        }
    }

    /// The lock is on an inode: make sure that another download did not rename it while we waited
    /// for the lock.
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

/// Locks a scratch file. A download that was just cancelled lets go of it within moments, so those
/// are waited for; one that goes on is not.
fn lock(file: &File) -> io::Result<()> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(LOCK_PAUSE),
            outcome => return Ok(outcome?),
        }
    }
}
