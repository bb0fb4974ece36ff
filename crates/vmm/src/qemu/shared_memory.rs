//! Sealed memory that many clones map: one anonymous file for each snapshot, filled once, which nobody can write.
//!
//! QEMU 7.2 opens its memory for writing also where it maps it privately, and no permission to write may lie on a sealed file. So
//! its bytes are put into a memfd that is sealed against every write and change of size: opening that for writing grants
//! nothing. All clones have its pages in common, copied only where they write; it goes with the last of them.
//!
//! ```text
//!  memory.bin --once--> memfd (F_SEAL_WRITE | GROW | SHRINK | SEAL) <--MAP_PRIVATE-- QEMU, QEMU, QEMU ...
//! ```
//! The daemon holds it for as long as runs that it launched need it. A daemon that starts anew leaves it to the runs alone, and
//! makes another for clones that are made later.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use rustix::fs::MemfdFlags;
use tokio::sync::OnceCell;

use crate::jail::spec::SHARED_MEMORY_SEALS;
use crate::memory_file::merge;

/// Which sealed file: another inode under the same name is another memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    path: Utf8PathBuf,
    device: u64,
    inode: u64,
}

#[derive(Debug, Default)]
struct Shared {
    file: Arc<OnceCell<Arc<OwnedFd>>>,
    users: HashSet<OperationId>,
}

/// All shared memory of this daemon.
#[derive(Debug, Default)]
pub(super) struct SharedMemory {
    files: Mutex<HashMap<Identity, Shared>>,
}

/// A sealed memfd, open in this process for as long as this value lives.
#[derive(Debug, Clone)]
pub(super) struct View(Arc<OwnedFd>);

impl View {
    /// Where a launcher finds it, while this value lives.
    pub(super) fn path(&self) -> Utf8PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

impl SharedMemory {
    /// The memory of the sealed file `path` for one more run. Made by the first that asks, while the others wait for it.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no room for its data in memory.
    pub(super) async fn take(&self, path: &Utf8Path, run: &OperationId) -> io::Result<View> {
        let metadata = std::fs::symlink_metadata(path)?;
        let identity =
            Identity { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() };
        let file = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let shared = files.entry(identity).or_default();
            shared.users.insert(run.clone());
            Arc::clone(&shared.file)
        };
        let made = file.get_or_try_init(async || {
            let path = path.to_owned();
            let filled = tokio::task::spawn_blocking(move || fill(&path));
            filled.await.map_err(io::Error::other)?.map(Arc::new)
        });
        Ok(View(Arc::clone(made.await?)))
    }

    /// A run needs it no more.
    pub(super) fn release(&self, run: &OperationId) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, shared| {
            shared.users.remove(run);
            !shared.users.is_empty()
        });
    }
}

fn fill(path: &Utf8Path) -> io::Result<OwnedFd> {
    let sealed = File::open(path)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create("guest-memory", flags)?);
    file.set_len(sealed.metadata()?.len())?;
    merge(&sealed, &file)?;
    rustix::fs::fcntl_add_seals(&file, SHARED_MEMORY_SEALS)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn run(number: u64) -> OperationId {
        OperationId::from_parts(number, [0; 10])
    }

    #[tokio::test]
    async fn promise_p10_shared_memory_can_be_opened_for_writing_and_never_written() {
        let temporary = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(temporary.path()).unwrap().join("memory.bin");
        let sealed = File::create(&path).unwrap();
        sealed.set_len(1 << 20).unwrap();
        sealed.write_all_at(b"guest", 8192).unwrap();
        let shared = SharedMemory::default();

        let view = shared.take(&path, &run(1)).await.unwrap();

        let mut opened = OpenOptions::new().read(true).write(true).open(view.path()).unwrap();
        let mut bytes = [0; 5];
        opened.read_exact_at(&mut bytes, 8192).unwrap();
        assert_eq!(&bytes, b"guest");
        assert_eq!(opened.metadata().unwrap().len(), 1 << 20);
        opened.write_all(b"other").unwrap_err();
        opened.set_len(1 << 21).unwrap_err();
        opened.set_len(0).unwrap_err();
    }

    #[tokio::test]
    async fn clones_of_one_snapshot_have_one_memory_which_goes_with_the_last() {
        let temporary = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(temporary.path()).unwrap().join("memory.bin");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let shared = SharedMemory::default();

        let first = shared.take(&path, &run(1)).await.unwrap();
        let second = shared.take(&path, &run(2)).await.unwrap();
        assert_eq!(first.path(), second.path());
        shared.release(&run(1));
        assert_eq!(shared.files.lock().unwrap().len(), 1);
        shared.release(&run(2));
        assert!(shared.files.lock().unwrap().is_empty());

        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let other = shared.take(&path, &run(3)).await.unwrap();
        assert_ne!(other.path(), first.path(), "another file under the same name");
    }
}
