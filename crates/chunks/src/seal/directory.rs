//! Sealing the files of a scratch directory.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::Mode;
use tokio_util::sync::CancellationToken;

use super::hash::{FileToHash, HashError, hash_data_chunks};
use super::identity::SealedIdentity;
use crate::files::{self, DurableError};
use crate::limits::SealLimits;
use crate::manifest::{ChunkMap, ChunkMapError, FileEntry, FileEntryError};
use crate::names::{ArtifactId, FileName};

/// Read-only for everybody; the directory around it is what keeps others out.
pub(super) const SEALED_MODE: u32 = 0o444;

/// A file to seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSpec {
    /// Which artifact it is.
    pub id: ArtifactId,
    /// Its name in the directory.
    pub name: FileName,
}

/// A sealed file: what is in it, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// What goes into the manifest.
    pub entry: FileEntry,
    /// What is recorded on this host, for [`verify_identity`](super::verify_identity).
    pub identity: SealedIdentity,
}

/// A directory that was not sealed. Its files may be read-only already; sealing it again is
/// allowed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The caller cancelled.
    #[error("sealing {directory} was cancelled")]
    Cancelled {
        /// Which directory.
        directory: Utf8PathBuf,
    },
    /// The file has another name somewhere, through which it could be written (promise P10).
    #[error("{path} has {links} names; a sealed file has one")]
    Shared {
        /// Which file.
        path: Utf8PathBuf,
        /// How many names.
        links: u64,
    },
    /// Somebody wrote to the file while it was sealed.
    #[error("{path} changed while it was sealed")]
    Changed {
        /// Which file.
        path: Utf8PathBuf,
    },
    /// The file cannot be described.
    #[error("{path} cannot be described")]
    Entry {
        /// Which file.
        path: Utf8PathBuf,
        /// Why not.
        source: FileEntryError,
    },
    /// The digests came out of order, which would be our own mistake.
    #[error("the digests of {path} are out of order")]
    Order {
        /// Which file.
        path: Utf8PathBuf,
        /// Where.
        source: ChunkMapError,
    },
    /// The files did not become durable.
    #[error("make sealed files durable")]
    Durable(#[from] DurableError),
    /// The operating system refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Seals files of a directory: owned by this process's user (root, in the daemon), 0444, synced,
/// hashed.
///
/// The entries come in the order of `specs`. When this returns, files and directory are on the
/// disk.
pub fn seal_directory(
    directory: &Utf8Path,
    specs: &[SealSpec],
    limits: &SealLimits,
    cancel: &CancellationToken,
) -> Result<Vec<SealedFile>, SealError> {
    let protected: Vec<Protected> = specs
        .iter()
        .map(|spec| protect(directory.join(spec.name.as_str())))
        .collect::<Result<_, _>>()?;
    for (spec, file) in specs.iter().zip(&protected) {
        // Refused before hours of hashing, not after.
        describe(spec, file, limits.chunk_bytes, ChunkMap::default())?;
    }
    files::sync_directory(directory)?;
    let to_hash: Vec<FileToHash<'_>> = protected
        .iter()
        .map(|file| FileToHash {
            file: &file.file,
            size_bytes: file.identity.size_bytes,
            chunk_bytes: limits.chunk_bytes,
        })
        .collect();
    let lists =
        hash_data_chunks(&to_hash, limits.threads, cancel).map_err(|error| match error {
            HashError::Cancelled => SealError::Cancelled { directory: directory.to_owned() },
            HashError::Read { file_index, source } => {
                io_error("read", &protected[file_index].path)(source)
            }
        })?;
    specs
        .iter()
        .zip(protected)
        .zip(lists)
        .map(|((spec, file), list)| {
            file.check_unchanged()?;
            let chunks = ChunkMap::from_ordered(list)
                .map_err(|source| SealError::Order { path: file.path.clone(), source })?;
            let entry = describe(spec, &file, limits.chunk_bytes, chunks)?;
            Ok(SealedFile { entry, identity: file.identity })
        })
        .collect()
}

fn describe(
    spec: &SealSpec,
    file: &Protected,
    chunk_bytes: u32,
    chunks: ChunkMap,
) -> Result<FileEntry, SealError> {
    let (id, name) = (spec.id.clone(), spec.name.clone());
    FileEntry::new(id, name, file.identity.size_bytes, chunk_bytes, chunks)
        .map_err(|source| SealError::Entry { path: file.path.clone(), source })
}

/// A file that nobody can open for writing any more, and which inode it was then.
struct Protected {
    path: Utf8PathBuf,
    file: File,
    identity: SealedIdentity,
}

fn protect(path: Utf8PathBuf) -> Result<Protected, SealError> {
    let file = files::open_regular(&path).map_err(io_error("open", &path))?;
    let links = file.metadata().map_err(io_error("stat", &path))?.nlink();
    if links != 1 {
        return Err(SealError::Shared { path, links });
    }
    files::owned_by_daemon(&file).map_err(io_error("own", &path))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(SEALED_MODE))
        .map_err(|errno| io_error("make read-only", &path)(errno.into()))?;
    files::sync_file(&file, &path)?;
    let identity = SealedIdentity::of(&file).map_err(io_error("stat", &path))?;
    Ok(Protected { path, file, identity })
}

impl Protected {
    fn check_unchanged(&self) -> Result<(), SealError> {
        let now = SealedIdentity::of(&self.file).map_err(io_error("stat", &self.path))?;
        if now != self.identity {
            return Err(SealError::Changed { path: self.path.clone() });
        }
        Ok(())
    }
}

fn io_error(operation: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::Io { operation, path, source }
}
