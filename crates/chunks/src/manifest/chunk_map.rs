//! Digests by chunk index, kept as runs so that a large file costs 43 characters a chunk and
//! nothing for its holes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::digest::Blake3Digest;

const DIGEST_BYTES: usize = 32;

/// Neighbouring chunks with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRun {
    /// Index of the first.
    pub first_chunk: u64,
    /// Their digests in order, never none.
    pub digests: Vec<Blake3Digest>,
}

impl ChunkRun {
    /// The index past its last chunk.
    pub fn end_chunk(&self) -> u64 {
        self.first_chunk.saturating_add(self.digests.len() as u64)
    }
}

/// The digest of every chunk of a file that is not all zeros.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<WireRun>", into = "Vec<WireRun>")]
pub struct ChunkMap {
    /// In order, and never touching: neighbours are one run.
    runs: Vec<ChunkRun>,
}

/// A run list that no writer of ours makes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkMapError {
    /// A run without digests, or with a part of one.
    #[error("the run at chunk {first_chunk} does not hold whole digests")]
    BadDigests {
        /// Where it begins.
        first_chunk: u64,
    },
    /// Runs that overlap, touch or go backwards.
    #[error("the run at chunk {first_chunk} is not past the one before it")]
    Disorder {
        /// Where it begins.
        first_chunk: u64,
    },
}

impl ChunkMap {
    /// Builds the map from chunks in ascending order.
    ///
    /// # Errors
    /// [`ChunkMapError::Disorder`] when an index does not grow.
    pub fn from_ordered(
        chunks: impl IntoIterator<Item = (u64, Blake3Digest)>,
    ) -> Result<Self, ChunkMapError> {
        let mut runs: Vec<ChunkRun> = Vec::new();
        for (chunk, digest) in chunks {
            match runs.last_mut() {
                Some(run) if chunk < run.end_chunk() => {
                    return Err(ChunkMapError::Disorder { first_chunk: chunk });
                }
                Some(run) if chunk == run.end_chunk() => run.digests.push(digest),
                _ => runs.push(ChunkRun { first_chunk: chunk, digests: vec![digest] }),
            }
        }
        Ok(Self { runs })
    }

    /// The runs in order.
    pub fn runs(&self) -> &[ChunkRun] {
        &self.runs
    }

    /// The digest of a chunk, or none where the chunk is all zeros.
    pub fn digest(&self, chunk: u64) -> Option<Blake3Digest> {
        let after = self.runs.partition_point(|run| run.first_chunk <= chunk);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let index = usize::try_from(chunk - run.first_chunk).ok()?;
        run.digests.get(index).copied()
    }

    /// Every chunk with data, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Blake3Digest)> {
        self.runs.iter().flat_map(|run| (run.first_chunk..).zip(run.digests.iter().copied()))
    }

    /// How many chunks have data.
    pub fn data_chunks(&self) -> u64 {
        self.runs.iter().map(|run| run.digests.len() as u64).sum()
    }

    /// The index past the last chunk with data.
    pub fn end_chunk(&self) -> u64 {
        self.runs.last().map_or(0, ChunkRun::end_chunk)
    }

    /// The first chunk in which two maps differ.
    pub fn first_difference(&self, other: &Self) -> Option<u64> {
        if self == other {
            return None;
        }
        let differs = |mine: &Self, other: &Self| {
            mine.iter()
                .find(|(chunk, digest)| other.digest(*chunk) != Some(*digest))
                .map(|(chunk, _)| chunk)
        };
        differs(self, other).into_iter().chain(differs(other, self)).min()
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRun {
    first_chunk: u64,
    /// The digests one after another, in base64 without padding.
    digests: String,
}

impl From<ChunkMap> for Vec<WireRun> {
    fn from(map: ChunkMap) -> Self {
        let encode = |run: ChunkRun| {
            let bytes: Vec<u8> = run.digests.iter().flat_map(|digest| *digest.as_bytes()).collect();
            WireRun { first_chunk: run.first_chunk, digests: STANDARD_NO_PAD.encode(bytes) }
        };
        map.runs.into_iter().map(encode).collect()
    }
}

impl TryFrom<Vec<WireRun>> for ChunkMap {
    type Error = ChunkMapError;

    fn try_from(wire: Vec<WireRun>) -> Result<Self, ChunkMapError> {
        let mut runs: Vec<ChunkRun> = Vec::with_capacity(wire.len());
        for WireRun { first_chunk, digests } in wire {
            let bad = ChunkMapError::BadDigests { first_chunk };
            let bytes = STANDARD_NO_PAD.decode(digests).map_err(|_| bad.clone())?;
            let (digests, rest) = bytes.as_chunks::<DIGEST_BYTES>();
            if digests.is_empty()
                || !rest.is_empty()
                || first_chunk.checked_add(digests.len() as u64).is_none()
            {
                return Err(bad);
            }
            if runs.last().is_some_and(|before| first_chunk <= before.end_chunk()) {
                return Err(ChunkMapError::Disorder { first_chunk });
            }
            let digests = digests.iter().copied().map(Blake3Digest::from_bytes).collect();
            runs.push(ChunkRun { first_chunk, digests });
        }
        Ok(Self { runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(seed: u8) -> Blake3Digest {
        Blake3Digest::of(&[seed])
    }

    fn map(chunks: &[(u64, u8)]) -> ChunkMap {
        ChunkMap::from_ordered(chunks.iter().map(|(chunk, seed)| (*chunk, digest(*seed))))
            .expect("ascending")
    }

    #[test]
    fn neighbours_become_one_run_and_holes_have_no_digest() {
        let map = map(&[(0, 1), (1, 2), (5, 3)]);

        assert_eq!(map.runs().len(), 2);
        assert_eq!((map.data_chunks(), map.end_chunk()), (3, 6));
        let found: Vec<_> = (0..7).map(|chunk| map.digest(chunk)).collect();
        let expected =
            [Some(1), Some(2), None, None, None, Some(3), None].map(|seed| seed.map(digest));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_first_difference_is_found_on_either_side() {
        let base = map(&[(0, 1), (3, 2)]);
        assert_eq!(base.first_difference(&base.clone()), None);
        assert_eq!(base.first_difference(&map(&[(0, 1), (3, 9)])), Some(3));
        assert_eq!(base.first_difference(&map(&[(0, 1), (2, 7), (3, 2)])), Some(2));
        assert_eq!(base.first_difference(&map(&[(3, 2)])), Some(0));
    }

    #[test]
    fn runs_that_no_writer_makes_are_refused() {
        let run = |first_chunk, count: usize| WireRun {
            first_chunk,
            digests: STANDARD_NO_PAD.encode(vec![7; count * DIGEST_BYTES]),
        };
        let part = WireRun { first_chunk: 0, digests: STANDARD_NO_PAD.encode([7; 33]) };
        let text = WireRun { first_chunk: 0, digests: "not base64!".to_owned() };
        let bad = Err(ChunkMapError::BadDigests { first_chunk: 0 });
        let disorder = |first_chunk| Err(ChunkMapError::Disorder { first_chunk });

        assert_eq!(ChunkMap::try_from(vec![run(0, 0)]), bad);
        assert_eq!(ChunkMap::try_from(vec![part]), bad);
        assert_eq!(ChunkMap::try_from(vec![text]), bad);
        assert_eq!(ChunkMap::try_from(vec![run(0, 2), run(2, 1)]), disorder(2));
        assert_eq!(ChunkMap::try_from(vec![run(4, 2), run(1, 1)]), disorder(1));
        assert!(ChunkMap::try_from(vec![run(u64::MAX, 1)]).is_err());
        assert!(ChunkMap::from_ordered([(3, digest(1)), (3, digest(2))]).is_err());
    }
}
