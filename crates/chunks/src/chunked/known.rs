//! What is known before a snapshot is cut: the chunks of other snapshots, by their names and by their places.

use std::collections::HashMap;

use super::document::FormDocument;
use super::error::ChunkedError;
use super::key::{KeyError, TenantKey};
use super::places::ChunkPlace;
use super::read::FormReader;
use super::source::PackSource;
use crate::digest::Blake3Digest;
use crate::names::ArtifactId;

/// A form that was written before.
#[derive(Debug, Clone)]
pub struct KnownSet {
    /// The snapshot that it is of, as documents name their parents.
    pub name: String,
    /// Its document.
    pub document: FormDocument,
}

/// The chunks that need not be written again.
pub struct Known<'a> {
    sets: &'a [KnownSet],
    readers: Vec<FormReader<'a>>,
    by_digest: HashMap<Blake3Digest, Found>,
}

/// A chunk of one of the known forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) set: usize,
    pub(super) index: u32,
}

/// A whole chunk that another may be told by the difference to.
pub(super) struct Base {
    pub(super) found: Found,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Known<'a> {
    /// Forms in order of nearness, the parent first. Forms of another chunk size or another key give nothing; nor do
    /// packs that `source` does not have.
    pub fn new(
        sets: &'a [KnownSet],
        source: &'a dyn PackSource,
        key: Option<&TenantKey>,
    ) -> Result<Self, ChunkedError> {
        let mut readers = Vec::new();
        let mut by_digest = HashMap::new();
        for (number, set) in sets.iter().enumerate() {
            let document = &set.document;
            if document.key_name != key.map(TenantKey::name) {
                return Err(KeyError::Wrong.into());
            }
            readers.push(FormReader::new(document, source, key)?);
            let is_there: Vec<bool> =
                document.packs.iter().map(|pack| source.has(&pack.id)).collect();
            let pack_is_there = |place: &ChunkPlace| is_there[place.pack as usize];
            for (index, place) in (0..).zip(&document.chunks.0) {
                let base = place.base.map(|base| &document.chunks.0[base as usize]);
                if pack_is_there(place) && base.is_none_or(pack_is_there) {
                    by_digest.entry(place.digest).or_insert(Found { set: number, index });
                }
            }
        }
        Ok(Self { sets, readers, by_digest })
    }

    /// The snapshots that are known, nearest first.
    pub(super) fn parents(&self) -> Vec<String> {
        self.sets.iter().map(|set| set.name.clone()).collect()
    }

    pub(super) fn find(&self, digest: &Blake3Digest) -> Option<Found> {
        self.by_digest.get(digest).copied()
    }

    pub(super) fn document(&self, found: Found) -> &'a FormDocument {
        &self.sets[found.set].document
    }

    pub(super) fn place(&self, found: Found) -> ChunkPlace {
        self.document(found).chunks.0[found.index as usize]
    }

    /// The whole chunk behind the one that the nearest form has at this place, if it can be read here. What is bad
    /// there is no base: the chunk is then told whole.
    pub(super) fn base(&self, file: &ArtifactId, chunk: u64, chunk_bytes: u32) -> Option<Base> {
        let document = &self.sets.first()?.document;
        if document.chunk_bytes != chunk_bytes {
            return None;
        }
        let index = document.file(file)?.chunk_at(chunk)?;
        let index = document.chunks.0[index as usize].base.unwrap_or(index);
        let found = Found { set: 0, index };
        // What is not in the table is not referred to.
        self.find(&self.place(found).digest)?;
        let bytes = self.readers[0].chunk(index).ok()?;
        Some(Base { found, bytes })
    }
}
