//! The manifest as the last file of a sealed directory.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::directory::SEALED_MODE;
use super::identity::SealedIdentity;
use crate::digest::Sha256Digest;
use crate::files::{self, DurableError};
use crate::limits::ManifestLimits;
use crate::manifest::{Manifest, ManifestError};

/// The manifest as it was written: what the wire contract answers and what this host records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenManifest {
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Which inode it is.
    pub identity: SealedIdentity,
}

/// A manifest that was not written, or not read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestFileError {
    /// It cannot be encoded within its limits, or what is there is not understood.
    #[error("the manifest {path} is refused")]
    Manifest {
        /// Where it is.
        path: Utf8PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// It did not become durable.
    #[error("make the manifest durable")]
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

/// Writes a manifest durably, sealed like the files that it describes.
pub fn write_manifest<Origin: Serialize + DeserializeOwned>(
    path: &Utf8Path,
    manifest: &Manifest<Origin>,
    limits: &ManifestLimits,
) -> Result<WrittenManifest, ManifestFileError> {
    let bytes = manifest.encode(limits).map_err(refused(path))?;
    files::write_file(path, &bytes, SEALED_MODE)?;
    let identity = files::open_regular(path)
        .and_then(|file| SealedIdentity::of(&file))
        .map_err(io_error("stat", path))?;
    let (sha256, size_bytes) = (Sha256Digest::of(&bytes), bytes.len() as u64);
    Ok(WrittenManifest { sha256, size_bytes, identity })
}

/// Reads a manifest, strictly, and never more of it than its limit. Answers its digest too, since
/// whether it is the one that was sealed is for the caller to say.
pub fn read_manifest<Origin: Serialize + DeserializeOwned>(
    path: &Utf8Path,
    limits: &ManifestLimits,
) -> Result<(Manifest<Origin>, Sha256Digest), ManifestFileError> {
    let file = files::open_regular(path).map_err(io_error("open", path))?;
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to be refused.
    let bounded = limits.size_bytes.saturating_add(1);
    file.take(bounded).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    let manifest = Manifest::decode(&bytes, limits).map_err(refused(path))?;
    Ok((manifest, Sha256Digest::of(&bytes)))
}

fn refused(path: &Utf8Path) -> impl FnOnce(ManifestError) -> ManifestFileError {
    let path = path.to_owned();
    move |source| ManifestFileError::Manifest { path, source }
}

fn io_error(
    operation: &'static str,
    path: &Utf8Path,
) -> impl FnOnce(io::Error) -> ManifestFileError {
    let path = path.to_owned();
    move |source| ManifestFileError::Io { operation, path, source }
}
