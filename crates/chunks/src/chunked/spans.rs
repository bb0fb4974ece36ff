//! Which bytes of which packs some chunks are read from, and those bytes once they are here: for whoever fetches chunks
//! one by one.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;

use super::document::FormDocument;
use super::source::PackSource;
use crate::digest::PackId;

/// Neighbouring frames of a pack, which one request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which pack.
    pub pack: PackId,
    /// The size of the whole pack.
    pub pack_bytes: u64,
    /// Which bytes of it.
    pub bytes: Range<u64>,
}

impl FormDocument {
    /// What must be read for these of the document's chunks, what they are told by the difference to included. Frames of a
    /// pack with at most `gap_bytes` between them share a span, up to `most_bytes`. Numbers of no chunk are left out.
    pub fn spans(
        &self,
        chunks: impl IntoIterator<Item = u32>,
        gap_bytes: u64,
        most_bytes: u64,
    ) -> Vec<Span> {
        let place = |index: u32| self.chunks.0.get(index as usize);
        let mut frames = BTreeSet::new();
        for chunk in chunks.into_iter().filter_map(place) {
            let base = chunk.base.and_then(place);
            frames.extend([Some(chunk), base].into_iter().flatten().map(|place| {
                let first = u64::from(place.offset_bytes);
                (place.pack, first, first + u64::from(place.length_bytes))
            }));
        }
        let mut spans: Vec<(u32, Range<u64>)> = Vec::new();
        for (pack, first, end) in frames {
            match spans.last_mut() {
                Some((last, bytes))
                    if *last == pack
                        && first <= bytes.end + gap_bytes
                        && end.max(bytes.end) - bytes.start <= most_bytes =>
                {
                    bytes.end = bytes.end.max(end);
                }
                _ => spans.push((pack, first..end)),
            }
        }
        let span = |(pack, bytes): (u32, Range<u64>)| {
            let entry = self.packs.get(pack as usize)?;
            Some(Span { pack: entry.id, pack_bytes: entry.size_bytes, bytes })
        };
        spans.into_iter().filter_map(span).collect()
    }
}

/// Spans that are here: a source of nothing else.
#[derive(Debug, Default)]
pub struct FetchedSpans(HashMap<PackId, Vec<(u64, Vec<u8>)>>);

impl FetchedSpans {
    /// Adds the bytes of a span, as they came.
    pub fn add(&mut self, span: &Span, bytes: Vec<u8>) {
        self.0.entry(span.pack).or_default().push((span.bytes.start, bytes));
    }
}

impl PackSource for FetchedSpans {
    fn read(&self, pack: &PackId, offset_bytes: u64, length_bytes: usize) -> io::Result<Vec<u8>> {
        let spans = self.0.get(pack).map(Vec::as_slice).unwrap_or_default();
        let found = spans.iter().find_map(|(first, bytes)| {
            let at = usize::try_from(offset_bytes.checked_sub(*first)?).ok()?;
            bytes.get(at..at.checked_add(length_bytes)?)
        });
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn has(&self, pack: &PackId) -> bool {
        self.0.contains_key(pack)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Parts;
    use super::super::{ChunkPlace, PackEntry};
    use super::*;
    use crate::digest::Blake3Digest;

    const PACKS: [PackId; 2] = [PackId::from_bytes([1; 32]), PackId::from_bytes([2; 32])];

    fn document(places: &[(u32, u32, u32, Option<u32>)]) -> FormDocument {
        let chunks =
            places.iter().enumerate().map(|(index, (pack, offset, length, base))| ChunkPlace {
                digest: Blake3Digest::of(&index.to_le_bytes()),
                pack: *pack,
                offset_bytes: *offset,
                length_bytes: *length,
                base: *base,
            });
        let packs = PACKS.map(|id| PackEntry { id, size_bytes: 10_000, key: None });
        let parts = Parts {
            chunk_bytes: 128 * 1024,
            parents: vec![],
            key_name: None,
            keys: vec![],
            manifest: String::new(),
            packs: packs.to_vec(),
            chunks: chunks.collect(),
            files: vec![],
        };
        FormDocument::new(parts).expect("a document")
    }

    fn span(pack: usize, bytes: Range<u64>) -> Span {
        Span { pack: PACKS[pack], pack_bytes: 10_000, bytes }
    }

    #[test]
    fn frames_near_each_other_share_a_span_and_bases_come_along() {
        let document = document(&[
            (0, 0, 100, None),
            (0, 100, 50, None),
            (0, 400, 10, None),
            (1, 0, 30, Some(2)),
            (0, 160, 20, None),
        ]);
        assert_eq!(document.spans([1, 0, 0], 0, 1000), [span(0, 0..150)]);
        assert_eq!(document.spans([0, 1], 0, 120), [span(0, 0..100), span(0, 100..150)]);
        assert_eq!(document.spans([0, 4], 60, 1000), [span(0, 0..180)]);
        assert_eq!(document.spans([0, 4], 59, 1000), [span(0, 0..100), span(0, 160..180)]);
        assert_eq!(document.spans([3], 0, 1000), [span(0, 400..410), span(1, 0..30)]);
        assert_eq!(document.spans([99], 0, 1000), []);
    }

    #[test]
    fn a_span_that_came_too_short_gives_nothing_of_what_it_lacks() {
        let mut fetched = FetchedSpans::default();
        fetched.add(&span(0, 100..110), vec![7; 8]);
        assert_eq!(fetched.read(&PACKS[0], 102, 6).expect("there"), [7; 6]);
        let short = fetched.read(&PACKS[0], 102, 8).expect_err("too short");
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        assert!(fetched.read(&PACKS[0], 99, 1).is_err() && fetched.read(&PACKS[1], 0, 1).is_err());
    }
}
