//! Where each chunk is: a table of fixed records, kept in the document as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::digest::Blake3Digest;

const RECORD_BYTES: usize = 48;
const NO_BASE: u32 = u32::MAX;

/// A chunk and where its frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    /// BLAKE3 of its bytes, keyed where the form is sealed.
    pub digest: Blake3Digest,
    /// Which of the document's packs.
    pub pack: u32,
    /// Where its frame begins in the pack.
    pub offset_bytes: u32,
    /// How long its frame is.
    pub length_bytes: u32,
    /// Which of the document's chunks it is told by the difference to. That one is told whole.
    pub base: Option<u32>,
}

/// Every chunk of a document, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Places(pub Vec<ChunkPlace>);

/// A table of chunks that no writer of ours makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table of chunks does not hold whole records")]
pub struct PlacesError;

impl TryFrom<String> for Places {
    type Error = PlacesError;

    fn try_from(text: String) -> Result<Self, PlacesError> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| PlacesError)?;
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        if !rest.is_empty() {
            return Err(PlacesError);
        }
        Ok(Self(records.iter().map(read).collect()))
    }
}

impl From<Places> for String {
    fn from(places: Places) -> Self {
        let mut bytes = Vec::with_capacity(places.0.len() * RECORD_BYTES);
        for place in &places.0 {
            bytes.extend_from_slice(place.digest.as_bytes());
            let base = place.base.unwrap_or(NO_BASE);
            for number in [place.pack, place.offset_bytes, place.length_bytes, base] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        STANDARD_NO_PAD.encode(bytes)
    }
}

fn read(record: &[u8; RECORD_BYTES]) -> ChunkPlace {
    let (digest, numbers) = record.split_first_chunk().expect("a record begins with a digest");
    let (numbers, _) = numbers.as_chunks::<4>();
    let number = |index: usize| u32::from_le_bytes(numbers[index]);
    ChunkPlace {
        digest: Blake3Digest::from_bytes(*digest),
        pack: number(0),
        offset_bytes: number(1),
        length_bytes: number(2),
        base: Some(number(3)).filter(|base| *base != NO_BASE),
    }
}

/// Indices into the table of chunks, kept as base64 of four bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Indices(pub Vec<u32>);

impl TryFrom<String> for Indices {
    type Error = PlacesError;

    fn try_from(text: String) -> Result<Self, PlacesError> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| PlacesError)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(PlacesError);
        }
        Ok(Self(numbers.iter().map(|number| u32::from_le_bytes(*number)).collect()))
    }
}

impl From<Indices> for String {
    fn from(indices: Indices) -> Self {
        let bytes: Vec<u8> = indices.0.iter().flat_map(|index| index.to_le_bytes()).collect();
        STANDARD_NO_PAD.encode(bytes)
    }
}
