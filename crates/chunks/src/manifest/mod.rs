//! The manifest of a snapshot: which files it has, and a digest for every chunk of them that is not
//! all zeros.
//!
//! Versioned strict JSON. A reader refuses a version, field, name or run that it does not
//! understand, before it acts on anything. A chunk that holds only zeros has no digest and is a
//! hole, so two manifests of equal contents are equal, however sparse the files were stored, and
//! zeros are never transferred.

mod chunk_map;
mod entry;
mod file;

pub use chunk_map::{ChunkMap, ChunkMapError, ChunkRun};
pub use entry::{FileEntry, FileEntryError, MAX_CHUNK_BYTES};
pub use file::{MANIFEST_VERSION, Manifest, ManifestError};
