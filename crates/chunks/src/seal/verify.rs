//! Whether a sealed file is still the one that was sealed, by its inode or by its bytes (promise
//! P6).

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio_util::sync::CancellationToken;

use super::hash::{FileToHash, HashError, hash_data_chunks};
use super::identity::{IdentityDifference, SealedIdentity};
use crate::files;
use crate::limits::SealLimits;
use crate::manifest::{ChunkMap, FileEntry};

/// A file that must not be used, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not the inode that was sealed.
    #[error("{path} is not the file that was sealed: {differences:?} differ")]
    Identity {
        /// Which file.
        path: Utf8PathBuf,
        /// In what. [`IdentityDifference::Device`] alone may be a reboot that numbered a loop
        /// device anew; a caller may then hash the file with [`verify_full`] and record its new
        /// identity.
        differences: Vec<IdentityDifference>,
    },
    /// Another size than the manifest says.
    #[error("{path} has {found_bytes} bytes, its manifest says {expected_bytes}")]
    Size {
        /// Which file.
        path: Utf8PathBuf,
        /// What the manifest says.
        expected_bytes: u64,
        /// What it has.
        found_bytes: u64,
    },
    /// Other bytes than were sealed.
    #[error("{path} differs from what was sealed in the chunk at byte {offset_bytes}")]
    Content {
        /// Which file.
        path: Utf8PathBuf,
        /// Where the first differing chunk begins.
        offset_bytes: u64,
    },
    /// The caller cancelled.
    #[error("verifying {path} was cancelled")]
    Cancelled {
        /// Which file.
        path: Utf8PathBuf,
    },
    /// The file could not be opened or read.
    #[error("read {path} to verify it")]
    Read {
        /// Which file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl VerifyError {
    /// Whether the file is known to be bad, so that its snapshot belongs in quarantine; false when
    /// it only could not be checked.
    pub fn is_tampering(&self) -> bool {
        match self {
            Self::Identity { .. } | Self::Size { .. } | Self::Content { .. } => true,
            Self::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Cancelled { .. } => false,
        }
    }
}

/// Checks that a file is the very inode that was sealed and was not written since. Reads none of
/// it.
pub fn verify_identity(path: &Utf8Path, sealed: &SealedIdentity) -> Result<(), VerifyError> {
    let read = |source| VerifyError::Read { path: path.to_owned(), source };
    let file = files::open_regular(path).map_err(read)?;
    let now = SealedIdentity::of(&file).map_err(read)?;
    let differences = sealed.differences(&now);
    if !differences.is_empty() {
        return Err(VerifyError::Identity { path: path.to_owned(), differences });
    }
    Ok(())
}

/// Hashes a file again and compares every chunk, holes too, with its manifest entry.
pub fn verify_full(
    path: &Utf8Path,
    entry: &FileEntry,
    limits: &SealLimits,
    cancel: &CancellationToken,
) -> Result<(), VerifyError> {
    let read = |source| VerifyError::Read { path: path.to_owned(), source };
    let file = files::open_regular(path).map_err(read)?;
    let found_bytes = file.metadata().map_err(read)?.len();
    if found_bytes != entry.size_bytes() {
        let expected_bytes = entry.size_bytes();
        return Err(VerifyError::Size { path: path.to_owned(), expected_bytes, found_bytes });
    }
    let to_hash =
        FileToHash { file: &file, size_bytes: found_bytes, chunk_bytes: entry.chunk_bytes() };
    let lists =
        hash_data_chunks(&[to_hash], limits.threads, cancel).map_err(|error| match error {
            HashError::Cancelled => VerifyError::Cancelled { path: path.to_owned() },
            HashError::Read { source, .. } => read(source),
        })?;
    let found = ChunkMap::from_ordered(lists.into_iter().flatten())
        .map_err(|error| read(io::Error::other(error)))?;
    match entry.chunks().first_difference(&found) {
        None => Ok(()),
        Some(chunk) => {
            let offset_bytes = entry.chunk_extent(chunk).offset_bytes;
            Err(VerifyError::Content { path: path.to_owned(), offset_bytes })
        }
    }
}
