//! What is there.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use super::error::FileError;
use super::walk::{Manner, Walk};
use super::workspace::Workspace;
use crate::limits;
use crate::proto::files::{Entry, Kind, ListRequest, ListResponse, Stat};

pub(super) fn to_stat(stat: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Stat {
        kind: kind.into(),
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        modified_unix_ns: stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanoseconds),
    }
}

/// What a path leads to; `None` when nothing is there.
pub(crate) fn stat(workspace: &Workspace, path: &Path) -> Result<Option<Stat>, FileError> {
    let file = match workspace.descend(path, OFlags::PATH) {
        Ok(file) => file,
        Err(error) if error.is_absent() || is_below_a_file(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::fstat(&file).map_err(FileError::io("stat", path))?;
    Ok(Some(to_stat(&stat)))
}

fn is_below_a_file(error: &FileError) -> bool {
    matches!(error, FileError::Io { source, .. }
        if source.kind() == std::io::ErrorKind::NotADirectory)
}

/// The entries of a directory, or all beneath it, in pages. Keeps no more than it answers, however large the directory is.
pub(crate) fn list(
    workspace: &Workspace,
    request: &ListRequest,
    mut page: impl FnMut(ListResponse) -> bool,
) -> Result<(), FileError> {
    let path = Path::new(&request.path);
    let limit = request.limit.min(limits::LISTED_ENTRIES) as usize;
    let mut walk = Walk::begin(workspace, path, Manner::Looking)?;
    let mut entries: BTreeMap<String, Stat> = BTreeMap::new();
    let mut truncated = false;
    while let Some(found) = walk.next()? {
        if !request.recursive {
            walk.skip();
        }
        // The wire has text; a name that is none cannot be asked for either.
        let Some(name) = found.path.to_str().map(str::to_owned) else { continue };
        let mut seen = to_stat(&found.stat);
        if seen.kind() == Kind::Symlink {
            // A link that leads nowhere, or out, is shown as itself.
            if let Ok(Some(target)) = stat(workspace, &path.join(&found.path)) {
                seen = target;
            }
        }
        entries.insert(name, seen);
        if entries.len() > limit {
            entries.pop_last();
            truncated = true;
            if request.recursive {
                break;
            }
        }
    }
    let mut next = ListResponse::default();
    let mut bytes = 0;
    for (path, stat) in entries {
        bytes += path.len() + ENTRY_OVERHEAD_BYTES;
        next.entries.push(Entry { path, stat: Some(stat) });
        if bytes >= limits::CHUNK_BYTES {
            bytes = 0;
            if !page(std::mem::take(&mut next)) {
                return Ok(());
            }
        }
    }
    page(ListResponse { truncated, ..next });
    Ok(())
}

/// What an entry has on the wire beside its path, at most.
const ENTRY_OVERHEAD_BYTES: usize = 48;
