//! Where the blocks of files lie, remembered until a file changes.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use camino::Utf8Path;

use super::sys::{self, Extent};
use super::walk::identity;

/// Beyond this many, blocks of one file count as its own: 64 Ki extents are 1 MiB of memory here.
pub(super) const LONGEST: usize = 1 << 16;

/// Which blocks of a file may be another's too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// All: others clone from it while it does not change.
    All,
    /// Those that the kernel says are shared.
    Shared,
}

/// A file as it was when it was asked for.
#[derive(Debug)]
struct Known {
    version: Version,
    extents: Arc<[Extent]>,
    /// The pass that last saw the file.
    seen: u64,
}

/// Changes with whatever changes the blocks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: (i64, i64),
    changed: (i64, i64),
    blocks: u64,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Extents {
    files: HashMap<(u64, u64), Known>,
    pass: u64,
}

impl Extents {
    /// Begins a pass.
    pub(super) fn begin(&mut self) {
        self.pass += 1;
    }

    /// Forgets files that this pass has not seen.
    pub(super) fn end(&mut self) {
        let pass = self.pass;
        self.files.retain(|_, known| known.seen == pass);
    }

    /// The extents of a file. `may_ask` says whether there is time to ask the kernel; without it, what was known stands.
    pub(super) fn of(
        &mut self,
        path: &Utf8Path,
        metadata: &Metadata,
        ask: Ask,
        may_ask: bool,
    ) -> io::Result<Arc<[Extent]>> {
        let (key, pass) = (identity(metadata), self.pass);
        let version = Version {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            blocks: metadata.blocks(),
        };
        if let Some(known) = self.files.get_mut(&key) {
            known.seen = pass;
            if known.version == version || !may_ask {
                return Ok(Arc::clone(&known.extents));
            }
        } else if !may_ask {
            return Ok(Arc::default());
        }
        let found = match sys::extents(path, LONGEST) {
            Ok(found) => found,
            // Gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error),
        };
        let kept = found.into_iter().filter(|extent| ask == Ask::All || extent.is_shared);
        let extents: Arc<[Extent]> = kept.collect();
        self.files.insert(key, Known { version, extents: Arc::clone(&extents), seen: pass });
        Ok(extents)
    }
}
