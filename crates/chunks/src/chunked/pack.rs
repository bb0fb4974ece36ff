//! A pack: frames one after another, then a table of what they are. Its name is the BLAKE3 of all of it.
//!
//! ```text
//!   "chpack01" | frame | frame | ... | per frame: digest 32, offset 4, length 4 | count 4 | "chpackix"
//! ```

use std::fs::File;
use std::io::{Read, Write};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ChunkedError;
use super::source::pack_name;
use crate::digest::{Blake3Digest, PackId};
use crate::files::{create_new, open_regular, rename_into_place, sync_file};

const HEAD: &[u8; 8] = b"chpack01";
const TAIL: &[u8; 8] = b"chpackix";
const ENTRY_BYTES: u64 = 40;
const READ_BYTES: usize = 256 * 1024;
/// Whoever reads a pack is root.
const PACK_MODE: u32 = 0o400;

/// In what a pack is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackProblem {
    /// Other bytes than its name says: flipped, cut, swapped or of another pack.
    #[error("its bytes are those of {found}")]
    Content {
        /// What its bytes are called.
        found: PackId,
    },
    /// Another length than the document says.
    #[error("it has {found_bytes} bytes, its document says {expected_bytes}")]
    Size {
        /// What the document says.
        expected_bytes: u64,
        /// What it has.
        found_bytes: u64,
    },
    /// Not there.
    #[error("it is missing")]
    Missing,
    /// Its table does not describe it.
    #[error("its table does not describe it")]
    Table,
}

/// A pack that is being written. Nothing has its name before it is whole and synced.
pub(super) struct PackWriter {
    file: File,
    path: Utf8PathBuf,
    hasher: blake3::Hasher,
    size_bytes: u64,
    entries: Vec<(Blake3Digest, u32, u32)>,
}

impl PackWriter {
    /// Begins a pack in a directory.
    pub(super) fn create(dir: &Utf8Path, number: usize) -> Result<Self, ChunkedError> {
        let path = dir.join(format!("pack-{number}.part"));
        let file = create_new(&path, PACK_MODE).map_err(ChunkedError::io("create", &path))?;
        let mut pack =
            Self { file, path, hasher: blake3::Hasher::new(), size_bytes: 0, entries: Vec::new() };
        pack.write(HEAD)?;
        Ok(pack)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends a frame; where it begins and how long it is.
    pub(super) fn append(
        &mut self,
        digest: Blake3Digest,
        frame: &[u8],
    ) -> Result<(u32, u32), ChunkedError> {
        let fits = |number: u64| u32::try_from(number).expect("packs are a few MiB");
        let (offset, length) = (fits(self.size_bytes), fits(frame.len() as u64));
        self.write(frame)?;
        self.entries.push((digest, offset, length));
        Ok((offset, length))
    }

    /// Ends the pack: table, sync, name. The directory is for the caller to sync, once for all.
    pub(super) fn finish(mut self) -> Result<(PackId, u64), ChunkedError> {
        let mut table = Vec::new();
        for (digest, offset, length) in &self.entries {
            table.extend_from_slice(digest.as_bytes());
            table.extend_from_slice(&offset.to_le_bytes());
            table.extend_from_slice(&length.to_le_bytes());
        }
        let count = u32::try_from(self.entries.len()).expect("packs are a few MiB");
        table.extend_from_slice(&count.to_le_bytes());
        table.extend_from_slice(TAIL);
        self.write(&table)?;
        sync_file(&self.file, &self.path)?;
        let id = PackId::from_bytes(*self.hasher.finalize().as_bytes());
        let named = self.path.with_file_name(pack_name(&id));
        rename_into_place(&self.path, &named)?;
        Ok((id, self.size_bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ChunkedError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(ChunkedError::io("write", &self.path))?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Hashes a whole pack and reads its table: it is what its name says, and its table describes it (promise P6).
/// Answers what is in it.
pub fn verify_pack(path: &Utf8Path, id: &PackId) -> Result<Vec<Blake3Digest>, ChunkedError> {
    let failed = |problem| ChunkedError::Pack { pack: *id, problem };
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(failed(PackProblem::Missing));
        }
        opened => opened.map_err(ChunkedError::io("open", path))?,
    };
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        let read = Read::by_ref(&mut file).take(READ_BYTES as u64).read_to_end(&mut bytes);
        if read.map_err(ChunkedError::io("read", path))? == 0 {
            break;
        }
        hasher.update(&bytes[before..]);
        if bytes.len() > LONGEST_PACK {
            return Err(failed(PackProblem::Table));
        }
    }
    let found = PackId::from_bytes(*hasher.finalize().as_bytes());
    if found != *id {
        return Err(failed(PackProblem::Content { found }));
    }
    table(&bytes).ok_or_else(|| failed(PackProblem::Table))
}

/// No writer of ours makes longer ones, whatever its limits.
const LONGEST_PACK: usize = 256 << 20;

fn table(bytes: &[u8]) -> Option<Vec<Blake3Digest>> {
    let rest = bytes.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let (rest, count) = rest.split_last_chunk::<4>()?;
    let length = u64::from(u32::from_le_bytes(*count)).checked_mul(ENTRY_BYTES)?;
    let frames = rest.len().checked_sub(usize::try_from(length).ok()?)?;
    let mut next = HEAD.len() as u64;
    let mut digests = Vec::new();
    for entry in rest[frames..].chunks_exact(ENTRY_BYTES as usize) {
        let (digest, numbers) = entry.split_first_chunk::<32>()?;
        let (numbers, _) = numbers.as_chunks::<4>();
        if u64::from(u32::from_le_bytes(numbers[0])) != next {
            return None;
        }
        next += u64::from(u32::from_le_bytes(numbers[1]));
        digests.push(Blake3Digest::from_bytes(*digest));
    }
    (next == (HEAD.len() + frames) as u64).then_some(digests)
}
