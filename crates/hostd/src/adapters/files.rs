//! The port `Files`: directories with an owner, disks cloned by reflink or copied, files given to the uid of a run.

use std::fs;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use chunks::files::{CloneError, CloneMode, clone_file, sync_data};
use contract::{OperationId, Secret};
use engine::layout::Layout;
use engine::port::{DiskSource, Files, PortError};
use engine::record::ArtifactSum;

use super::artifacts::ArtifactCache;
use super::blocking;
use super::new_disk;
use super::owned_dir::{
    OwnedDirs, make_private_dir, operation_of, remove_tree_if_there, rename_new,
};
use super::secrets;

/// A disk is its machine's alone.
const DISK_MODE: u32 = 0o600;

/// Files beneath one root.
#[derive(Debug, Clone)]
pub struct HostFiles {
    layout: Layout,
    clone_mode: CloneMode,
    artifacts: Arc<ArtifactCache>,
    owned: OwnedDirs,
}

impl HostFiles {
    /// Clones as `clone_mode` says; artifacts come from the cache.
    pub fn new(layout: Layout, clone_mode: CloneMode, artifacts: Arc<ArtifactCache>) -> Self {
        let owned = OwnedDirs::new(layout.all_scratch());
        Self { layout, clone_mode, artifacts, owned }
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn make_dir(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        let (owned, dir, operation) = (self.owned.clone(), dir.to_owned(), operation.clone());
        blocking("make a directory", move || owned.make(&dir, &operation)).await
    }

    async fn remove_made_dir(
        &self,
        dir: &Utf8Path,
        operation: &OperationId,
    ) -> Result<(), PortError> {
        let (owned, dir, operation) = (self.owned.clone(), dir.to_owned(), operation.clone());
        blocking("remove a directory", move || owned.remove(&dir, &operation)).await
    }

    async fn remove_tree(&self, dir: &Utf8Path, scratch: &Utf8Path) -> Result<(), PortError> {
        let (dir, scratch) = (dir.to_owned(), scratch.to_owned());
        blocking("remove a tree", move || {
            remove_tree_if_there(&scratch)?;
            make_private_dir(&scratch)?;
            match rename_new(&dir, &scratch.join("tree")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(PortError::io(format!("move {dir} out of the way"), error));
                }
                _ => {}
            }
            remove_tree_if_there(&scratch)
        })
        .await
    }

    async fn place_artifact(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
    ) -> Result<ArtifactSum, PortError> {
        let (path, sum, _lease) = self.open_source(source).await?;
        let sum = sum.ok_or_else(|| {
            PortError::plain(engine::port::Fault::Internal, "place a file that is no artifact")
        })?;
        let to = to.to_owned();
        blocking("place an artifact", move || {
            // One read-only inode of root's serves all machines; on another file system it is copied.
            match fs::hard_link(&path, &to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    clone_file(&path, &to, CloneMode::Copy, 0o444)
                        .map(drop)
                        .map_err(|error| clone_error(&path, &to, error))
                }
                linked => {
                    linked.map_err(|error| PortError::io(format!("link {path} to {to}"), error))
                }
            }
        })
        .await?;
        Ok(sum)
    }

    async fn clone_disk(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
        size_bytes: Option<u64>,
        owner: Option<u32>,
    ) -> Result<(), PortError> {
        let (from, _sum, _lease) = self.open_source(source).await?;
        let (to, mode) = (to.to_owned(), self.clone_mode);
        blocking("clone a disk", move || {
            clone_file(&from, &to, mode, DISK_MODE)
                .map_err(|error| clone_error(&from, &to, error))?;
            grow(&to, size_bytes)?;
            owner.map_or(Ok(()), |owner| give(&to, owner))
        })
        .await
    }

    async fn format_disk(
        &self,
        to: &Utf8Path,
        size_bytes: u64,
        label: &str,
    ) -> Result<(), PortError> {
        new_disk::format(to, size_bytes, label).await
    }

    async fn grow_file(&self, path: &Utf8Path, size_bytes: u64) -> Result<(), PortError> {
        let path = path.to_owned();
        blocking("grow a disk", move || grow(&path, Some(size_bytes))).await
    }

    async fn remove_file(&self, path: &Utf8Path) -> Result<(), PortError> {
        let path = path.to_owned();
        blocking("remove a file", move || match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(PortError::io(format!("remove {path}"), error))
            }
            _ => Ok(()),
        })
        .await
    }

    async fn give_to(&self, paths: &[Utf8PathBuf], owner: u32) -> Result<(), PortError> {
        let paths = paths.to_vec();
        blocking("give files away", move || paths.iter().try_for_each(|path| give(path, owner)))
            .await
    }

    async fn sync_dirty(&self, paths: &[Utf8PathBuf]) -> Result<(), PortError> {
        let syncs = paths.iter().cloned().map(|path| {
            blocking("sync a file", move || {
                sync_data(&path).map_err(|error| PortError::internal(format!("sync {path}"), error))
            })
        });
        futures_util::future::try_join_all(syncs).await.map(drop)
    }

    async fn keep_secret(&self, path: &Utf8Path, secret: &Secret) -> Result<(), PortError> {
        let (path, secret) = (path.to_owned(), secret.clone());
        blocking("keep a secret", move || secrets::keep(&path, &secret)).await
    }

    async fn read_secret(&self, path: &Utf8Path) -> Result<Secret, PortError> {
        let path = path.to_owned();
        blocking("read a secret", move || secrets::read(&path)).await
    }

    async fn forget_secret(&self, path: &Utf8Path) -> Result<(), PortError> {
        let path = path.to_owned();
        blocking("forget a secret", move || secrets::forget(&path)).await
    }

    async fn carried_scratch(&self) -> Result<Vec<OperationId>, PortError> {
        let scratch = self.layout.all_scratch();
        blocking("list scratch", move || {
            let entries = scratch
                .read_dir_utf8()
                .map_err(|error| PortError::io(format!("list {scratch}"), error))?;
            let mut operations = Vec::new();
            for entry in entries {
                let entry =
                    entry.map_err(|error| PortError::io(format!("list {scratch}"), error))?;
                operations.extend(operation_of(entry.file_name()));
            }
            operations.sort();
            operations.dedup();
            Ok(operations)
        })
        .await
    }

    async fn remove_scratch(&self, operation: &OperationId) -> Result<(), PortError> {
        let all = self.layout.all_scratch();
        let operation = operation.clone();
        blocking("remove scratch", move || {
            [String::new(), ".new-".to_owned(), ".gone-".to_owned()].iter().try_for_each(|prefix| {
                remove_tree_if_there(&all.join(format!("{prefix}{operation}")))
            })
        })
        .await
    }
}

impl HostFiles {
    /// The file behind a source. The lease keeps a cached artifact from being evicted until it is dropped.
    async fn open_source(
        &self,
        source: &DiskSource,
    ) -> Result<(Utf8PathBuf, Option<ArtifactSum>, Option<super::artifacts::Lease>), PortError>
    {
        match source {
            DiskSource::File { path } => Ok((path.clone(), None, None)),
            DiskSource::Artifact { url, sha256_hex } => {
                let cached = self.artifacts.fetch(url, sha256_hex.as_ref()).await?;
                Ok((cached.path, Some(cached.sum), Some(cached.lease)))
            }
        }
    }
}

pub(super) fn grow(path: &Utf8Path, size_bytes: Option<u64>) -> Result<(), PortError> {
    let Some(wanted) = size_bytes else { return Ok(()) };
    let error = |error| PortError::io(format!("grow {path} to {wanted} bytes"), error);
    let file = fs::OpenOptions::new().write(true).open(path).map_err(error)?;
    if file.metadata().map_err(error)?.len() < wanted {
        file.set_len(wanted).map_err(error)?;
    }
    Ok(())
}

/// By descriptor and without following a link: what is given away is a file of ours (P1).
pub(super) fn give(path: &Utf8Path, owner: u32) -> Result<(), PortError> {
    let error = |error: io::Error| PortError::io(format!("give {path} to uid {owner}"), error);
    let file = chunks::files::open_regular(path).map_err(error)?;
    std::os::unix::fs::fchown(&file, Some(owner), Some(owner)).map_err(error)
}

fn clone_error(from: &Utf8Path, to: &Utf8Path, error: CloneError) -> PortError {
    let action = format!("clone {from} to {to}");
    match error {
        CloneError::Io { source, .. } => PortError::io(action, source),
        other => PortError::internal(action, other),
    }
}
