//! Writing the manifest as the last file of a sealed directory.

use std::io;

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

/// A manifest that was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteManifestError {
    /// It cannot be encoded within its limits.
    #[error("encode the manifest")]
    Encode(#[from] ManifestError),
    /// It did not become durable.
    #[error("make the manifest durable")]
    Durable(#[from] DurableError),
    /// It could not be looked at once written.
    #[error("stat the manifest {path}")]
    Stat {
        /// Where it is.
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
) -> Result<WrittenManifest, WriteManifestError> {
    let bytes = manifest.encode(limits)?;
    files::write_file(path, &bytes, SEALED_MODE)?;
    let identity = files::open_regular(path)
        .and_then(|file| SealedIdentity::of(&file))
        .map_err(|source| WriteManifestError::Stat { path: path.to_owned(), source })?;
    Ok(WrittenManifest {
        sha256: Sha256Digest::of(&bytes),
        size_bytes: bytes.len() as u64,
        identity,
    })
}
