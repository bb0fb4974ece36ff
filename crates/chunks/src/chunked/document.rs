//! The document of a chunked form: strict JSON that says where every chunk of every file is.

use std::collections::HashSet;
use std::io::Read;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::error::ChunkedError;
use super::places::{ChunkPlace, Indices, Places};
use crate::digest::{PackId, Sha256Digest};
use crate::files::{open_regular, write_file};
use crate::limits::KIB;
use crate::names::ArtifactId;

/// The version written, and the only one read.
const VERSION: u32 = 1;
const DOCUMENT_MODE: u32 = 0o400;
/// No chunk of ours is larger, whatever its writer's limits were: a reader makes room for one.
const LARGEST_CHUNK: u64 = 1024 * KIB;

/// A document that is refused.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// More bytes than allowed.
    #[error("it has {size_bytes} bytes, {limit_bytes} are allowed")]
    TooLarge {
        /// Its size, as far as it was read.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Another version than this reader knows.
    #[error("it has version {found}, this reader knows 1")]
    Version {
        /// Its version.
        found: u32,
    },
    /// Not understood.
    #[error("it is not understood")]
    Malformed(#[source] serde_json::Error),
    /// It contradicts itself.
    #[error("it contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// A pack that the document refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackEntry {
    /// Its name.
    pub id: PackId,
    /// Its whole size.
    pub size_bytes: u64,
    /// Which of the document's keys seals it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
}

/// Neighbouring chunks with data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOfChunks {
    /// Index of the first in its file.
    pub first_chunk: u64,
    /// Which of the document's chunks they are.
    pub chunks: Indices,
}

/// A file. What no run covers is zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormFile {
    /// Which artifact it is.
    pub id: ArtifactId,
    /// Its size.
    pub size_bytes: u64,
    /// Its data, in order.
    pub runs: Vec<RunOfChunks>,
}

/// Everything about a snapshot in chunked form but the frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormDocument {
    version: u32,
    /// Bytes per chunk; the last one of a file may be shorter.
    pub chunk_bytes: u32,
    /// The snapshots whose chunks were known when this one was cut, nearest first.
    pub parents: Vec<String>,
    /// By which name the key of its tenant is known, if it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The keys of packs, each sealed with the tenant's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The manifest of the raw files, as base64 where it is sealed, with the first of the keys.
    pub manifest: String,
    /// The packs.
    pub packs: Vec<PackEntry>,
    /// The chunks.
    pub chunks: Places,
    /// The files.
    pub files: Vec<FormFile>,
}

/// A document as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenDocument {
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// How many they are.
    pub size_bytes: u64,
}

/// What a document is made of.
pub(super) struct Parts {
    pub(super) chunk_bytes: u32,
    pub(super) parents: Vec<String>,
    pub(super) key_name: Option<String>,
    pub(super) keys: Vec<String>,
    pub(super) manifest: String,
    pub(super) packs: Vec<PackEntry>,
    pub(super) chunks: Vec<ChunkPlace>,
    pub(super) files: Vec<FormFile>,
}

impl FormDocument {
    pub(super) fn new(parts: Parts) -> Result<Self, DocumentError> {
        let Parts { chunk_bytes, parents, key_name, keys, manifest, packs, chunks, files } = parts;
        let document = Self {
            version: VERSION,
            chunk_bytes,
            parents,
            key_name,
            keys,
            manifest,
            packs,
            chunks: Places(chunks),
            files,
        };
        document.check().map_err(DocumentError::Contradiction)?;
        Ok(document)
    }

    /// Reads a document, strictly: its version, and that everything that it refers to is in it.
    pub fn decode(bytes: &[u8], limit_bytes: u64) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if bytes.len() as u64 > limit_bytes {
            return Err(DocumentError::TooLarge { size_bytes: bytes.len() as u64, limit_bytes });
        }
        let Versioned { version } =
            serde_json::from_slice(bytes).map_err(DocumentError::Malformed)?;
        if version != VERSION {
            return Err(DocumentError::Version { found: version });
        }
        let document: Self = serde_json::from_slice(bytes).map_err(DocumentError::Malformed)?;
        document.check().map_err(DocumentError::Contradiction)?;
        Ok(document)
    }

    /// Reads the document of a set, and its digest: whether it is the one meant is for the caller to say.
    pub fn read(path: &Utf8Path, limit_bytes: u64) -> Result<(Self, Sha256Digest), ChunkedError> {
        let file = open_regular(path).map_err(ChunkedError::io("open", path))?;
        let mut bytes = Vec::new();
        file.take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(ChunkedError::io("read", path))?;
        Ok((Self::decode(&bytes, limit_bytes)?, Sha256Digest::of(&bytes)))
    }

    pub(super) fn write(
        &self,
        path: &Utf8Path,
        limit_bytes: u64,
    ) -> Result<WrittenDocument, ChunkedError> {
        let bytes = serde_json::to_vec(self).map_err(DocumentError::Malformed)?;
        let size_bytes = bytes.len() as u64;
        if size_bytes > limit_bytes {
            return Err(DocumentError::TooLarge { size_bytes, limit_bytes }.into());
        }
        write_file(path, &bytes, DOCUMENT_MODE)?;
        Ok(WrittenDocument { sha256: Sha256Digest::of(&bytes), size_bytes })
    }

    /// The file of an artifact.
    pub fn file(&self, id: &ArtifactId) -> Option<&FormFile> {
        self.files.iter().find(|file| file.id == *id)
    }

    fn check(&self) -> Result<(), &'static str> {
        let chunk_bytes = u64::from(self.chunk_bytes);
        if chunk_bytes == 0 || !chunk_bytes.is_multiple_of(4 * KIB) || chunk_bytes > LARGEST_CHUNK {
            return Err("chunks of that size are not cut");
        }
        if self.keys.is_empty() != self.key_name.is_none() {
            return Err("keys and the name of their tenant's go together");
        }
        let mut packs = HashSet::new();
        for pack in &self.packs {
            if !packs.insert(pack.id) {
                return Err("a pack is listed twice");
            }
            if pack.key.is_some() == self.keys.is_empty()
                || pack.key.is_some_and(|key| key as usize >= self.keys.len())
            {
                return Err("a pack is sealed with a key that is not there");
            }
        }
        for place in &self.chunks.0 {
            let pack = self.packs.get(place.pack as usize).ok_or("a chunk is in no pack")?;
            let end = u64::from(place.offset_bytes) + u64::from(place.length_bytes);
            if end > pack.size_bytes {
                return Err("a chunk lies past the end of its pack");
            }
            if u64::from(place.length_bytes) > 2 * LARGEST_CHUNK {
                return Err("a frame is longer than any chunk");
            }
            if let Some(base) = place.base {
                let base = self.chunks.0.get(base as usize).ok_or("a base is no chunk")?;
                if base.base.is_some() {
                    return Err("a base is told by a difference itself");
                }
            }
        }
        let mut ids = HashSet::new();
        for file in &self.files {
            if !ids.insert(&file.id) {
                return Err("a file is listed twice");
            }
            let mut next = 0;
            for run in &file.runs {
                if run.first_chunk < next || run.chunks.0.is_empty() {
                    return Err("runs overlap, go backwards or are empty");
                }
                next = run.first_chunk.saturating_add(run.chunks.0.len() as u64);
                if run.chunks.0.iter().any(|index| *index as usize >= self.chunks.0.len()) {
                    return Err("a file refers to a chunk that is not there");
                }
            }
            if next > file.size_bytes.div_ceil(chunk_bytes) {
                return Err("a run goes past the end of its file");
            }
        }
        Ok(())
    }
}

impl FormFile {
    /// Every chunk with data: its index in the file, and which of the document's chunks it is.
    pub fn chunks(&self) -> impl Iterator<Item = (u64, u32)> {
        self.runs.iter().flat_map(|run| (run.first_chunk..).zip(run.chunks.0.iter().copied()))
    }

    /// Which of the document's chunks lies at an index, or none where there are zeros.
    pub fn chunk_at(&self, index: u64) -> Option<u32> {
        let after = self.runs.partition_point(|run| run.first_chunk <= index);
        let run = self.runs.get(after.checked_sub(1)?)?;
        run.chunks.0.get(usize::try_from(index - run.first_chunk).ok()?).copied()
    }
}

/// Chunks in ascending order as runs.
pub(super) fn runs_of(chunks: &[(u64, u32)]) -> Vec<RunOfChunks> {
    let mut runs: Vec<RunOfChunks> = Vec::new();
    for (index, chunk) in chunks {
        match runs.last_mut() {
            Some(run) if run.first_chunk + run.chunks.0.len() as u64 == *index => {
                run.chunks.0.push(*chunk);
            }
            _ => runs.push(RunOfChunks { first_chunk: *index, chunks: Indices(vec![*chunk]) }),
        }
    }
    runs
}
