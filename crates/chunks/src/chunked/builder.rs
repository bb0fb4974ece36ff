//! What a document grows from while its snapshot is cut. Behind one lock; whoever compresses does not hold it.

use std::collections::HashMap;

use camino::Utf8PathBuf;

use super::document::PackEntry;
use super::error::ChunkedError;
use super::known::{Found, Known};
use super::pack::PackWriter;
use super::places::ChunkPlace;
use super::write::FormTotals;
use crate::digest::{Blake3Digest, PackId};

pub(super) struct Builder<'a> {
    dir: Utf8PathBuf,
    known: &'a Known<'a>,
    pack_bytes: u64,
    /// The first is that of this set, if it is sealed.
    pub(super) keys: Vec<String>,
    pub(super) chunks: Vec<ChunkPlace>,
    by_digest: HashMap<Blake3Digest, u32>,
    /// Of a pack that is being written the id is not known yet.
    packs: Vec<Option<PackEntry>>,
    by_pack: HashMap<PackId, u32>,
    open: Option<(u32, PackWriter)>,
    pub(super) totals: FormTotals,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        dir: Utf8PathBuf,
        known: &'a Known<'a>,
        pack_bytes: u64,
        key: Option<String>,
    ) -> Self {
        Self {
            dir,
            known,
            pack_bytes,
            keys: key.into_iter().collect(),
            chunks: Vec::new(),
            by_digest: HashMap::new(),
            packs: Vec::new(),
            by_pack: HashMap::new(),
            open: None,
            totals: FormTotals::default(),
        }
    }

    /// The chunk of this name, if it is in the document already or in a form that is known.
    pub(super) fn find(&mut self, digest: &Blake3Digest) -> Option<u32> {
        if let Some(index) = self.by_digest.get(digest) {
            return Some(*index);
        }
        let found = self.known.find(digest)?;
        Some(self.adopt(found))
    }

    /// Refers to a chunk of a known form.
    pub(super) fn adopt(&mut self, found: Found) -> u32 {
        let place = self.known.place(found);
        if let Some(index) = self.by_digest.get(&place.digest) {
            return *index;
        }
        let base = place.base.map(|index| self.adopt(Found { index, ..found }));
        let pack = self.adopt_pack(found, place.pack);
        self.totals.known_chunks += 1;
        self.insert(ChunkPlace { pack, base, ..place })
    }

    fn adopt_pack(&mut self, found: Found, pack: u32) -> u32 {
        let document = self.known.document(found);
        let entry = &document.packs[pack as usize];
        if let Some(number) = self.by_pack.get(&entry.id) {
            return *number;
        }
        let key = entry.key.map(|key| self.adopt_key(&document.keys[key as usize]));
        let number = index_of(self.packs.len());
        self.packs.push(Some(PackEntry { key, ..entry.clone() }));
        self.by_pack.insert(entry.id, number);
        number
    }

    fn adopt_key(&mut self, key: &String) -> u32 {
        let at = self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
            self.keys.push(key.clone());
            self.keys.len() - 1
        });
        index_of(at)
    }

    /// Writes a chunk that nobody had, or refers to it where another thread was faster.
    pub(super) fn append(
        &mut self,
        digest: Blake3Digest,
        frame: &[u8],
        base: Option<Found>,
    ) -> Result<u32, ChunkedError> {
        if let Some(index) = self.by_digest.get(&digest) {
            return Ok(*index);
        }
        let base = base.map(|base| self.adopt(base));
        let (pack, writer) = match &mut self.open {
            Some((pack, writer)) => (*pack, writer),
            None => {
                let pack = index_of(self.packs.len());
                self.packs.push(None);
                let writer = PackWriter::create(&self.dir, self.packs.len())?;
                let (_, writer) = self.open.insert((pack, writer));
                (pack, writer)
            }
        };
        let (offset_bytes, length_bytes) = writer.append(digest, frame)?;
        let is_full = writer.size_bytes() >= self.pack_bytes;
        self.totals.new_chunks += 1;
        self.totals.differences += u64::from(base.is_some());
        let index = self.insert(ChunkPlace { digest, pack, offset_bytes, length_bytes, base });
        if is_full {
            self.finish_pack()?;
        }
        Ok(index)
    }

    fn insert(&mut self, place: ChunkPlace) -> u32 {
        let index = index_of(self.chunks.len());
        self.chunks.push(place);
        self.by_digest.insert(place.digest, index);
        index
    }

    fn finish_pack(&mut self) -> Result<(), ChunkedError> {
        let Some((number, writer)) = self.open.take() else { return Ok(()) };
        let (id, size_bytes) = writer.finish()?;
        self.totals.new_bytes += size_bytes;
        self.totals.new_packs += 1;
        let key = (!self.keys.is_empty()).then_some(0);
        self.packs[number as usize] = Some(PackEntry { id, size_bytes, key });
        Ok(())
    }

    /// Ends the last pack; the packs in order.
    pub(super) fn finish(&mut self) -> Result<Vec<PackEntry>, ChunkedError> {
        self.finish_pack()?;
        Ok(std::mem::take(&mut self.packs).into_iter().flatten().collect())
    }
}

fn index_of(length: usize) -> u32 {
    u32::try_from(length).expect("a document's limit is far below 2^32 chunks")
}
