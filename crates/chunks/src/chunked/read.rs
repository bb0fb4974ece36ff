//! Reading a chunked form: one chunk, or a whole file. Every chunk is verified before it is seen (promise P6).

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use camino::Utf8Path;
use tokio_util::sync::CancellationToken;

use super::document::{FormDocument, FormFile};
use super::error::{ChunkProblem, ChunkedError};
use super::frame;
use super::key::{DataKey, KeyError, Naming, TenantKey};
use super::places::ChunkPlace;
use super::source::PackSource;
use crate::digest::PackId;
use crate::files::{create_new, sync_file, write_sparse};
use crate::names::ArtifactId;

/// In which context a manifest is sealed.
const MANIFEST: &[u8] = b"manifest";

/// Reads what a document describes from wherever its packs are.
pub struct FormReader<'a> {
    document: &'a FormDocument,
    source: &'a dyn PackSource,
    keys: Vec<DataKey>,
    naming: Naming,
}

impl<'a> FormReader<'a> {
    /// A reader; of a sealed form with its tenant's key.
    pub fn new(
        document: &'a FormDocument,
        source: &'a dyn PackSource,
        key: Option<&TenantKey>,
    ) -> Result<Self, ChunkedError> {
        let (keys, key) = match (key, document.keys.is_empty()) {
            (_, true) => (Vec::new(), None),
            (None, false) => return Err(KeyError::Missing.into()),
            (Some(key), false) => {
                let keys = document.keys.iter().map(|text| key.unwrap_key(text));
                (keys.collect::<Result<_, _>>()?, Some(key))
            }
        };
        Ok(Self { document, source, keys, naming: Naming::of(key) })
    }

    /// The manifest of the raw files.
    pub fn manifest(&self) -> Result<Vec<u8>, ChunkedError> {
        let Some(key) = self.keys.first() else {
            return Ok(self.document.manifest.clone().into_bytes());
        };
        let sealed = STANDARD_NO_PAD.decode(&self.document.manifest);
        let opened = sealed.ok().and_then(|sealed| key.open(MANIFEST, &sealed));
        opened.ok_or_else(|| KeyError::Wrong.into())
    }

    /// One of the document's chunks, verified.
    pub fn chunk(&self, index: u32) -> Result<Vec<u8>, ChunkedError> {
        let place = self.place(index)?;
        let base = place.base.map(|base| self.chunk(base)).transpose()?;
        let limit_bytes = self.document.chunk_bytes as usize;
        let opened = self.frame(place)?;
        let chunk = frame::decode(&opened, base.as_deref(), limit_bytes)
            .map_err(|problem| self.bad(place, problem))?;
        if self.naming.name(&chunk) != place.digest {
            return Err(self.bad(place, ChunkProblem::Content));
        }
        Ok(chunk)
    }

    /// The chunk at an index of a file, verified, and as long as it is there; none where there are zeros.
    pub fn chunk_at(&self, file: &FormFile, at: u64) -> Result<Option<Vec<u8>>, ChunkedError> {
        file.chunk_at(at).map(|index| self.chunk_in(file, at, index)).transpose()
    }

    fn chunk_in(&self, file: &FormFile, at: u64, index: u32) -> Result<Vec<u8>, ChunkedError> {
        let chunk = self.chunk(index)?;
        let chunk_bytes = u64::from(self.document.chunk_bytes);
        let expected = chunk_bytes.min(file.size_bytes - at * chunk_bytes);
        if chunk.len() as u64 != expected {
            return Err(self.bad(self.place(index)?, ChunkProblem::Frame));
        }
        Ok(chunk)
    }

    fn place(&self, index: u32) -> Result<&'a ChunkPlace, ChunkedError> {
        let contradiction = super::DocumentError::Contradiction("a chunk that is not there");
        self.document.chunks.0.get(index as usize).ok_or(contradiction.into())
    }

    fn frame(&self, place: &ChunkPlace) -> Result<Vec<u8>, ChunkedError> {
        let pack = self.document.packs.get(place.pack as usize);
        let pack = pack.ok_or(super::DocumentError::Contradiction("a pack that is not there"))?;
        let (offset, length) = (u64::from(place.offset_bytes), place.length_bytes as usize);
        let frame = match self.source.read(&pack.id, offset, length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.bad(place, ChunkProblem::Truncated));
            }
            read => read.map_err(|source| ChunkedError::Source { pack: pack.id, source })?,
        };
        let key = pack.key.and_then(|key| self.keys.get(key as usize));
        frame::open(frame, &place.digest, key).map_err(|problem| self.bad(place, problem))
    }

    fn bad(&self, place: &ChunkPlace, problem: ChunkProblem) -> ChunkedError {
        let pack = self.document.packs.get(place.pack as usize);
        let pack = pack.map_or(PackId::from_bytes([0; 32]), |pack| pack.id);
        ChunkedError::Chunk {
            digest: place.digest,
            pack,
            offset_bytes: place.offset_bytes,
            problem,
        }
    }

    /// Writes a whole file to `to`, a new file with these permission bits, its zeros as holes, synced.
    pub fn write_file(
        &self,
        id: &ArtifactId,
        to: &Utf8Path,
        mode: u32,
        threads: usize,
        cancel: &CancellationToken,
    ) -> Result<u64, ChunkedError> {
        let file = self.document.file(id).ok_or_else(|| ChunkedError::NoFile(id.clone()))?;
        let target = create_new(to, mode).map_err(ChunkedError::io("create", to))?;
        target.set_len(file.size_bytes).map_err(ChunkedError::io("size", to))?;
        self.fill(file, &target, to, threads, cancel)?;
        sync_file(&target, to)?;
        Ok(file.size_bytes)
    }

    fn fill(
        &self,
        file: &FormFile,
        target: &File,
        to: &Utf8Path,
        threads: usize,
        cancel: &CancellationToken,
    ) -> Result<(), ChunkedError> {
        let chunks: Vec<(u64, u32)> = file.chunks().collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), ChunkedError> {
            while let Some((at, index)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                if cancel.is_cancelled() {
                    return Err(ChunkedError::Cancelled);
                }
                let written = self.chunk_in(file, *at, *index).and_then(|chunk| {
                    let offset = at * u64::from(self.document.chunk_bytes);
                    write_sparse(target, offset, &chunk).map_err(ChunkedError::io("write", to))
                });
                // Nobody needs the rest any more.
                written.inspect_err(|_| next.store(chunks.len(), Ordering::Relaxed))?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mine = work();
            helpers.into_iter().fold(mine, |outcome, helper| match helper.join() {
                Ok(helped) => outcome.and(helped),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}

/// A manifest as a document keeps it.
pub(super) fn keep_manifest(text: &str, key: Option<&DataKey>) -> Result<String, KeyError> {
    match key {
        Some(key) => Ok(STANDARD_NO_PAD.encode(key.seal(MANIFEST, text.as_bytes().to_vec())?)),
        None => Ok(text.to_owned()),
    }
}
