//! Durable writes: write a temporary file, sync it, rename it, sync the directory.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Advice, CWD, Mode, OFlags, RenameFlags};
use tracing::trace;

use super::extents::Extent;
use super::open::create_new;

/// A write that did not become durable.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    /// There is something under the final name already; it was left alone.
    #[error("{path} exists already")]
    Exists {
        /// The final name.
        path: Utf8PathBuf,
    },
    /// The operating system refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DurableError {
    pub(crate) fn io(operation: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }
}

/// Writes a whole file durably, replacing an older one of that name in one step.
///
/// After a crash the name holds either the old bytes or the new ones. The temporary file is
/// `<path>.tmp`; one that a crash left is replaced.
pub fn write_file(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
    let temporary = Utf8PathBuf::from(format!("{path}.tmp"));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DurableError::io("remove old", &temporary)(error));
        }
        _ => {}
    }
    let mut file = create_new(&temporary, mode).map_err(DurableError::io("create", &temporary))?;
    file.write_all(bytes).map_err(DurableError::io("write", &temporary))?;
    sync_file(&file, &temporary)?;
    std::fs::rename(&temporary, path).map_err(DurableError::io("rename to", path))?;
    sync_directory(parent_of(path))
}

/// Moves a whole scratch directory (or a file) to its final place, which must be free, and syncs
/// both parents.
///
/// What is inside must be synced already. An existing target is never replaced, not even an empty
/// directory: of two publishers one gets [`DurableError::Exists`].
pub fn publish(from: &Utf8Path, to: &Utf8Path) -> Result<(), DurableError> {
    rename_into_place(from, to)?;
    sync_directory(parent_of(to))?;
    if parent_of(from) != parent_of(to) {
        sync_directory(parent_of(from))?;
    }
    Ok(())
}

/// Syncs a file's data, and of its metadata only what is needed to read it back (promise P5: called
/// before a pause so that the pause does not have to).
pub fn sync_data(path: &Utf8Path) -> Result<(), DurableError> {
    let file = super::open_regular(path).map_err(DurableError::io("open", path))?;
    rustix::fs::fdatasync(&file)
        .map_err(|errno| DurableError::io("sync data of", path)(errno.into()))
}

/// Syncs a directory, so that the names in it survive a crash.
pub fn sync_directory(path: &Utf8Path) -> Result<(), DurableError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path.as_str(), flags, Mode::empty())
        .map_err(|errno| DurableError::io("open directory", path)(errno.into()))?;
    rustix::fs::fsync(&directory)
        .map_err(|errno| DurableError::io("sync directory", path)(errno.into()))
}

/// Syncs a file's data and metadata.
pub(crate) fn sync_file(file: &File, path: &Utf8Path) -> Result<(), DurableError> {
    file.sync_all().map_err(DurableError::io("sync", path))
}

/// Asks the kernel to begin writing a stretch to the disk. Only a hint: where it is not taken, the
/// sync does all the work.
pub(crate) fn begin_writeback(file: &File, extent: Extent) {
    // DONTNEED begins writeback and then drops pages that are clean, which these are not yet.
    let length = NonZeroU64::new(extent.length_bytes);
    if let Err(error) = rustix::fs::fadvise(file, extent.offset_bytes, length, Advice::DontNeed) {
        trace!(%error, "no early writeback here");
    }
}

/// Renames without replacing, and without syncing.
pub(crate) fn rename_into_place(from: &Utf8Path, to: &Utf8Path) -> Result<(), DurableError> {
    match rustix::fs::renameat_with(CWD, from.as_str(), CWD, to.as_str(), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(DurableError::Exists { path: to.to_owned() }),
        Err(errno) => Err(DurableError::io("rename to", to)(errno.into())),
    }
}

/// The directory that holds a name; a bare name lives in the working directory.
fn parent_of(path: &Utf8Path) -> &Utf8Path {
    match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    }
}
