//! One chunk as it lies in a pack: how it is told, then its bytes, sealed where the set has a key.

use std::io;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound};

use super::error::ChunkProblem;
use super::key::{DataKey, KeyError};
use crate::digest::Blake3Digest;

const STORED: u8 = 0;
const COMPRESSED: u8 = 1;
const DIFFERENCE: u8 = 2;

/// A difference is worth its base when it takes at most a third of the whole: a restore reads both.
const WORTH: usize = 3;

/// Compresses chunks. Each thread has its own.
pub(super) struct Encoder {
    whole: zstd::bulk::Compressor<'static>,
    level: i32,
}

/// A frame, and whether it needs its base to be read.
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    pub(super) is_difference: bool,
}

impl Encoder {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        Ok(Self { whole: zstd::bulk::Compressor::new(level)?, level })
    }

    /// A chunk, told by its difference to `base` where that is much shorter.
    pub(super) fn encode(&mut self, chunk: &[u8], base: Option<&[u8]>) -> io::Result<Frame> {
        if let Some(base) = base {
            let difference = self.difference(chunk, base)?;
            // Told in so little, the whole need not even be tried.
            if difference.len() * 8 <= chunk.len() {
                return Ok(Frame { bytes: difference, is_difference: true });
            }
            let whole = self.whole(chunk)?;
            return Ok(if difference.len() * WORTH <= whole.len() {
                Frame { bytes: difference, is_difference: true }
            } else {
                Frame { bytes: whole, is_difference: false }
            });
        }
        Ok(Frame { bytes: self.whole(chunk)?, is_difference: false })
    }

    fn whole(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 1 + compress_bound(chunk.len())];
        bytes[0] = COMPRESSED;
        let length = self.whole.compress_to_buffer(chunk, &mut bytes[1..])?;
        bytes.truncate(1 + length);
        if bytes.len() > chunk.len() {
            bytes.clear();
            bytes.push(STORED);
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }

    fn difference(&self, chunk: &[u8], base: &[u8]) -> io::Result<Vec<u8>> {
        let mut context = CCtx::create();
        let failed = |code| io::Error::other(zstd::zstd_safe::get_error_name(code));
        context.set_parameter(CParameter::CompressionLevel(self.level)).map_err(failed)?;
        let window = usize::BITS - (chunk.len() + base.len()).leading_zeros();
        context.set_parameter(CParameter::WindowLog(window.clamp(10, 27))).map_err(failed)?;
        context.ref_prefix(base).map_err(failed)?;
        let mut bytes = vec![0; 1 + compress_bound(chunk.len())];
        bytes[0] = DIFFERENCE;
        let length = context.compress2(&mut bytes[1..], chunk).map_err(failed)?;
        bytes.truncate(1 + length);
        Ok(bytes)
    }
}

/// Seals a frame; how it is told stays readable and is covered by the seal, with the chunk's name.
pub(super) fn seal(
    frame: Vec<u8>,
    digest: &Blake3Digest,
    key: Option<&DataKey>,
) -> Result<Vec<u8>, KeyError> {
    let Some(key) = key else { return Ok(frame) };
    let kind = frame.first().copied().unwrap_or(STORED);
    let mut sealed = vec![kind];
    sealed.append(
        &mut key.seal(&context(kind, digest), frame.get(1..).unwrap_or_default().to_vec())?,
    );
    Ok(sealed)
}

/// The bytes in the frame, opened.
pub(super) fn open(
    frame: Vec<u8>,
    digest: &Blake3Digest,
    key: Option<&DataKey>,
) -> Result<Vec<u8>, ChunkProblem> {
    let Some(key) = key else { return Ok(frame) };
    let (kind, sealed) = frame.split_first().ok_or(ChunkProblem::Frame)?;
    let mut opened = vec![*kind];
    let bytes = key.open(&context(*kind, digest), sealed).ok_or(ChunkProblem::Seal)?;
    opened.extend_from_slice(&bytes);
    Ok(opened)
}

/// The chunk that an opened frame tells, at most `limit_bytes` long. Its digest is for the caller to check.
pub(super) fn decode(
    frame: &[u8],
    base: Option<&[u8]>,
    limit_bytes: usize,
) -> Result<Vec<u8>, ChunkProblem> {
    let (kind, bytes) = frame.split_first().ok_or(ChunkProblem::Frame)?;
    match (*kind, base) {
        (STORED, None) => Ok(bytes.to_vec()),
        (COMPRESSED, None) => {
            zstd::bulk::decompress(bytes, limit_bytes).map_err(|_| ChunkProblem::Compression)
        }
        (DIFFERENCE, Some(base)) => {
            let mut context = DCtx::create();
            context.ref_prefix(base).map_err(|_| ChunkProblem::Compression)?;
            let mut chunk = vec![0; limit_bytes];
            let length =
                context.decompress(&mut chunk[..], bytes).map_err(|_| ChunkProblem::Compression)?;
            chunk.truncate(length);
            Ok(chunk)
        }
        _ => Err(ChunkProblem::Frame),
    }
}

fn context(kind: u8, digest: &Blake3Digest) -> Vec<u8> {
    let mut context = vec![kind];
    context.extend_from_slice(digest.as_bytes());
    context
}
