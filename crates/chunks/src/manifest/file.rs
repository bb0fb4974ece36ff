//! The manifest itself: encode, decode, and the root digest that covers all of it.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::FileEntry;
use crate::digest::Blake3Digest;
use crate::limits::ManifestLimits;
use crate::names::{ArtifactId, FileName};

/// The version written, and the only one read.
pub const MANIFEST_VERSION: u32 = 1;

/// Keeps root digests apart from digests of chunks and of anything else.
const ROOT_CONTEXT: &str = "computer-host 2026 snapshot manifest root v1";

/// What a snapshot consists of. `Origin` says what it was taken of; it must refuse unknown fields
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest<Origin> {
    origin: Origin,
    files: Vec<FileEntry>,
}

/// A manifest that was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than allowed; nothing of it was read.
    #[error("the manifest has {size_bytes} bytes, {limit_bytes} are allowed")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another version than this reader knows.
    #[error("the manifest has version {found}, this reader knows {MANIFEST_VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// No manifest, or one with parts that this reader does not understand.
    #[error("the manifest is not understood")]
    Malformed(#[source] serde_json::Error),
    /// More files than allowed.
    #[error("the manifest lists {files} files, {limit} are allowed")]
    TooManyFiles {
        /// How many.
        files: usize,
        /// The limit.
        limit: usize,
    },
    /// Two files of one id or one name.
    #[error("the manifest lists {name} ({id}) twice")]
    Duplicate {
        /// The id.
        id: ArtifactId,
        /// The file name.
        name: FileName,
    },
    /// The content is not what the root digest covers.
    #[error("the manifest's content has digest {found}, its root says {expected}")]
    Root {
        /// What it says.
        expected: Blake3Digest,
        /// What it has.
        found: Blake3Digest,
    },
}

#[derive(Deserialize)]
struct WireVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    /// Kept as a value, so that the root is computed over what was written and not over what
    /// `Origin` makes of it.
    origin: Value,
    files: Vec<FileEntry>,
    root: Blake3Digest,
}

impl<Origin: Serialize + DeserializeOwned> Manifest<Origin> {
    /// Puts a manifest together.
    ///
    /// # Errors
    /// When two files share an id or a name, or there are too many.
    pub fn new(
        origin: Origin,
        files: Vec<FileEntry>,
        limits: &ManifestLimits,
    ) -> Result<Self, ManifestError> {
        check_files(&files, limits)?;
        Ok(Self { origin, files })
    }

    /// What the snapshot was taken of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its files.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The file of an artifact.
    pub fn file(&self, id: &ArtifactId) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.id() == id)
    }

    /// The bytes to store.
    ///
    /// # Errors
    /// When `Origin` cannot be JSON, or the result would be too large to be read again.
    pub fn encode(&self, limits: &ManifestLimits) -> Result<Vec<u8>, ManifestError> {
        let origin = serde_json::to_value(&self.origin).map_err(ManifestError::Malformed)?;
        let root = root_digest(&origin, &self.files)?;
        let wire = Wire { version: MANIFEST_VERSION, origin, files: self.files.clone(), root };
        let bytes = serde_json::to_vec(&wire).map_err(ManifestError::Malformed)?;
        check_size(&bytes, limits)?;
        Ok(bytes)
    }

    /// Reads a manifest, and refuses it whole when any of it is not understood.
    ///
    /// # Errors
    /// In this order: size, version, form, files, root digest, origin.
    pub fn decode(bytes: &[u8], limits: &ManifestLimits) -> Result<Self, ManifestError> {
        check_size(bytes, limits)?;
        let WireVersion { version } =
            serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        if version != MANIFEST_VERSION {
            return Err(ManifestError::Version { found: version });
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        check_files(&wire.files, limits)?;
        let found = root_digest(&wire.origin, &wire.files)?;
        if found != wire.root {
            return Err(ManifestError::Root { expected: wire.root, found });
        }
        let origin = serde_json::from_value(wire.origin).map_err(ManifestError::Malformed)?;
        Ok(Self { origin, files: wire.files })
    }
}

fn check_size(bytes: &[u8], limits: &ManifestLimits) -> Result<(), ManifestError> {
    let (size_bytes, limit_bytes) = (bytes.len() as u64, limits.size_bytes);
    if size_bytes > limit_bytes {
        return Err(ManifestError::TooLarge { size_bytes, limit_bytes });
    }
    Ok(())
}

fn check_files(files: &[FileEntry], limits: &ManifestLimits) -> Result<(), ManifestError> {
    if files.len() > limits.files {
        return Err(ManifestError::TooManyFiles { files: files.len(), limit: limits.files });
    }
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for file in files {
        if !ids.insert(file.id()) || !names.insert(file.name()) {
            return Err(ManifestError::Duplicate {
                id: file.id().clone(),
                name: file.name().clone(),
            });
        }
    }
    Ok(())
}

/// BLAKE3 over the origin and every file's names, sizes and chunk digests. Lengths go before what
/// has no fixed length, so that no two contents give the same stream.
fn root_digest(origin: &Value, files: &[FileEntry]) -> Result<Blake3Digest, ManifestError> {
    let mut hasher = blake3::Hasher::new_derive_key(ROOT_CONTEXT);
    let text = |hasher: &mut blake3::Hasher, bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    text(&mut hasher, &serde_json::to_vec(origin).map_err(ManifestError::Malformed)?);
    for file in files {
        text(&mut hasher, file.id().as_str().as_bytes());
        text(&mut hasher, file.name().as_str().as_bytes());
        hasher.update(&file.size_bytes().to_le_bytes());
        hasher.update(&file.chunk_bytes().to_le_bytes());
        hasher.update(&file.chunks().data_chunks().to_le_bytes());
        for (chunk, digest) in file.chunks().iter() {
            hasher.update(&chunk.to_le_bytes());
            hasher.update(digest.as_bytes());
        }
    }
    Ok(Blake3Digest::from_bytes(*hasher.finalize().as_bytes()))
}
