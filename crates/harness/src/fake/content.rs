//! What a file holds. Guests are described, not simulated: whose work it is and how far it had come.

use contract::Sha256Hex;
use contract::artifact::ArtifactId;
use engine::record::SnapshotOrigin;
use sha2::{Digest as _, Sha256};

/// The content of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Fixed bytes: kernels, images, whatever a test puts there.
    Text(String),
    /// What a running guest has written. All parts of one instant bear the same `work`.
    Guest {
        /// Which part of the guest.
        part: Part,
        /// The machine that once booted; clones keep it.
        born: String,
        /// How much work the guest had done.
        work: u64,
        /// Whether its processes were frozen; only device state says so.
        is_frozen: bool,
    },
    /// The manifest of a sealed snapshot.
    Manifest(Box<ManifestDocument>),
}

/// A part of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// RAM.
    Memory,
    /// Device state.
    Devices,
    /// The disk with this position.
    Disk(usize),
}

/// A manifest: what was sealed, and as which inodes.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestDocument {
    /// The operation that sealed it.
    pub operation: String,
    /// What it was taken of.
    pub origin: SnapshotOrigin,
    /// Its files.
    pub files: Vec<SealedFile>,
}

/// A file in a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedFile {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The inode that was sealed.
    pub inode: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256Hex,
}

impl Content {
    /// The digest of this content.
    pub fn sha256(&self) -> Sha256Hex {
        Sha256Hex::from_bytes(&Sha256::digest(format!("{self:?}")).into())
    }

    /// The work recorded in it, when a guest wrote it.
    pub fn work(&self) -> Option<u64> {
        match self {
            Self::Guest { work, .. } => Some(*work),
            Self::Text(_) | Self::Manifest(_) => None,
        }
    }

    /// The content in words that do not depend on when it was written.
    pub fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("text {text:?}"),
            Self::Guest { part, born, .. } => format!("{part:?} of a guest born as {born}"),
            Self::Manifest(document) => {
                let names: Vec<String> =
                    document.files.iter().map(|file| file.artifact.to_string()).collect();
                format!("manifest of {} with {}", document.origin.snapshot, names.join(", "))
            }
        }
    }
}
