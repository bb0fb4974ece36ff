//! One file of a snapshot as the manifest describes it.

use serde::{Deserialize, Serialize};

use super::chunk_map::ChunkMap;
use crate::files::Extent;
use crate::names::{ArtifactId, FileName};

/// Chunks are whole blocks and whole guest pages.
const CHUNK_UNIT: u32 = 4096;
/// Largest chunk accepted, since a chunk is verified in memory before a byte of it is written.
pub const MAX_CHUNK_BYTES: u32 = 16 * 1024 * 1024;
/// Largest file accepted, the limit of ext4 and far above any disk of a machine.
const MAX_FILE_BYTES: u64 = 16 << 40;

/// One file: its names, its size, and the digests of its chunks. Valid by construction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireEntry", into = "WireEntry")]
pub struct FileEntry {
    id: ArtifactId,
    name: FileName,
    size_bytes: u64,
    chunk_bytes: u32,
    chunks: ChunkMap,
}

/// An entry that describes no possible file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileEntryError {
    /// The chunk size is not one we use.
    #[error("{name}: {chunk_bytes} bytes per chunk is not a multiple of 4096 up to 16 MiB")]
    ChunkSize {
        /// Which file.
        name: FileName,
        /// What it said.
        chunk_bytes: u32,
    },
    /// The file is larger than any we handle.
    #[error("{name}: {size_bytes} bytes is more than 16 TiB")]
    FileSize {
        /// Which file.
        name: FileName,
        /// What it said.
        size_bytes: u64,
    },
    /// A digest for a chunk past the end.
    #[error("{name}: a digest past its {chunks} chunks")]
    PastEnd {
        /// Which file.
        name: FileName,
        /// How many chunks its size gives.
        chunks: u64,
    },
}

impl FileEntry {
    /// Describes a file.
    ///
    /// # Errors
    /// When the chunk size, the file size or a chunk's index is out of bounds.
    pub fn new(
        id: ArtifactId,
        name: FileName,
        size_bytes: u64,
        chunk_bytes: u32,
        chunks: ChunkMap,
    ) -> Result<Self, FileEntryError> {
        if chunk_bytes == 0
            || !chunk_bytes.is_multiple_of(CHUNK_UNIT)
            || chunk_bytes > MAX_CHUNK_BYTES
        {
            return Err(FileEntryError::ChunkSize { name, chunk_bytes });
        }
        if size_bytes > MAX_FILE_BYTES {
            return Err(FileEntryError::FileSize { name, size_bytes });
        }
        let count = size_bytes.div_ceil(u64::from(chunk_bytes));
        if chunks.end_chunk() > count {
            return Err(FileEntryError::PastEnd { name, chunks: count });
        }
        Ok(Self { id, name, size_bytes, chunk_bytes, chunks })
    }

    /// Which artifact it is.
    pub fn id(&self) -> &ArtifactId {
        &self.id
    }

    /// Its file name in the snapshot's directory.
    pub fn name(&self) -> &FileName {
        &self.name
    }

    /// Its size, holes included.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes per chunk; the last chunk may be shorter.
    pub fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// The digests of its chunks.
    pub fn chunks(&self) -> &ChunkMap {
        &self.chunks
    }

    /// Where a chunk lies; beyond the file it is empty.
    pub fn chunk_extent(&self, chunk: u64) -> Extent {
        let offset_bytes = chunk.saturating_mul(u64::from(self.chunk_bytes)).min(self.size_bytes);
        let length_bytes = u64::from(self.chunk_bytes).min(self.size_bytes - offset_bytes);
        Extent { offset_bytes, length_bytes }
    }

    /// Bytes in chunks that are not all zeros: what a transfer moves, and at most what the file
    /// takes on disk.
    pub fn data_bytes(&self) -> u64 {
        self.chunks.iter().map(|(chunk, _)| self.chunk_extent(chunk).length_bytes).sum()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    id: ArtifactId,
    name: FileName,
    size_bytes: u64,
    chunk_bytes: u32,
    chunks: ChunkMap,
}

impl From<FileEntry> for WireEntry {
    fn from(entry: FileEntry) -> Self {
        let FileEntry { id, name, size_bytes, chunk_bytes, chunks } = entry;
        Self { id, name, size_bytes, chunk_bytes, chunks }
    }
}

impl TryFrom<WireEntry> for FileEntry {
    type Error = FileEntryError;

    fn try_from(wire: WireEntry) -> Result<Self, FileEntryError> {
        Self::new(wire.id, wire.name, wire.size_bytes, wire.chunk_bytes, wire.chunks)
    }
}
