//! Where packs are read from. Packs of this host lie in directories; others may come from elsewhere.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::ChunkedError;
use crate::digest::PackId;
use crate::files::open_regular;

const SUFFIX: &str = ".pack";

/// Gives ranges of packs. What it gives is verified by whoever asked.
pub trait PackSource: Send + Sync {
    /// Bytes of a pack; fewer than asked for are an error of kind `UnexpectedEof`.
    fn read(&self, pack: &PackId, offset_bytes: u64, length_bytes: usize) -> io::Result<Vec<u8>>;

    /// Whether the pack can be asked for.
    fn has(&self, pack: &PackId) -> bool;
}

/// The packs that lie in some directories.
#[derive(Debug, Default)]
pub struct DirectorySource {
    packs: HashMap<PackId, Utf8PathBuf>,
}

impl DirectorySource {
    /// Finds the packs of these directories. Files of other names are left alone.
    pub fn open<'dir>(
        dirs: impl IntoIterator<Item = &'dir Utf8Path>,
    ) -> Result<Self, ChunkedError> {
        let mut packs = HashMap::new();
        for dir in dirs {
            for (id, path) in packs_in(dir)? {
                packs.insert(id, path);
            }
        }
        Ok(Self { packs })
    }

    /// Where a pack lies.
    pub fn path(&self, pack: &PackId) -> Option<&Utf8Path> {
        self.packs.get(pack).map(Utf8PathBuf::as_path)
    }
}

impl PackSource for DirectorySource {
    fn read(&self, pack: &PackId, offset_bytes: u64, length_bytes: usize) -> io::Result<Vec<u8>> {
        let path = self.packs.get(pack).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; length_bytes];
        // Opened for each read: there are thousands of packs, and few descriptors.
        open_regular(path)?.read_exact_at(&mut bytes, offset_bytes)?;
        Ok(bytes)
    }

    fn has(&self, pack: &PackId) -> bool {
        self.packs.contains_key(pack)
    }
}

/// The file name of a pack, in a set and in an object store.
pub fn pack_name(pack: &PackId) -> String {
    format!("{pack}{SUFFIX}")
}

/// Every pack in a directory with its path.
pub(super) fn packs_in(dir: &Utf8Path) -> Result<Vec<(PackId, Utf8PathBuf)>, ChunkedError> {
    let mut packs = Vec::new();
    for entry in dir.read_dir_utf8().map_err(ChunkedError::io("list", dir))? {
        let entry = entry.map_err(ChunkedError::io("list", dir))?;
        let id = entry.file_name().strip_suffix(SUFFIX).and_then(|name| name.parse().ok());
        packs.extend(id.map(|id| (id, entry.path().to_owned())));
    }
    Ok(packs)
}
