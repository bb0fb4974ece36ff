//! Directories, disks and clones beneath the daemon's root.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use contract::{ArtifactUrl, Secret, Sha256Hex};
use serde::{Deserialize, Serialize};

use crate::record::ArtifactSum;

use super::PortError;

/// Where the first content of a disk comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum DiskSource {
    /// A kernel, initrd or root image by URL, cached by content.
    Artifact {
        /// http, https, or a file beneath the configured `image_dirs`. The query string may be a secret.
        url: ArtifactUrl,
        /// The digest it must have, when the caller gave one.
        sha256_hex: Option<Sha256Hex>,
    },
    /// A file beneath the root that no VMM writes.
    File {
        /// The file.
        path: Utf8PathBuf,
    },
}

/// File effects. Everything made before a commit lies in a directory that carries the operation's id.
#[async_trait]
pub trait Files: Send + Sync {
    /// Makes a directory that carries the operation's id (atomically: never the one without the other). It exists already and
    /// carries this operation: fine; carries another: an error.
    async fn make_dir(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError>;

    /// Removes a directory made by [`Files::make_dir`] if, and only if, it carries this operation's id. Absent or another's: nothing happens.
    async fn remove_made_dir(
        &self,
        dir: &Utf8Path,
        operation: &OperationId,
    ) -> Result<(), PortError>;

    /// Removes a tree whose record is gone: renamed into `scratch` first, so that its name is free at once. Idempotent.
    async fn remove_tree(&self, dir: &Utf8Path, scratch: &Utf8Path) -> Result<(), PortError>;

    /// Puts a read-only artifact at `to` (a link into the cache, or a clone). Answers its sum.
    async fn place_artifact(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
    ) -> Result<ArtifactSum, PortError>;

    /// Clones `source` to a new file `to` as the configured `disk_clone` says, and grows it to `size_bytes` when that is larger.
    /// The owner is set to `owner` (uid and gid) when given, mode 0600.
    async fn clone_disk(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
        size_bytes: Option<u64>,
        owner: Option<u32>,
    ) -> Result<(), PortError>;

    /// Makes a new sparse file of `size_bytes` with an empty ext4 of this label, whose root directory is uid 1000's; mode 0600.
    /// Over one that was half made: made anew.
    async fn format_disk(
        &self,
        to: &Utf8Path,
        size_bytes: u64,
        label: &str,
    ) -> Result<(), PortError>;

    /// Makes a file as large as `size_bytes`, with a hole; one that is larger stays as it is.
    async fn grow_file(&self, path: &Utf8Path, size_bytes: u64) -> Result<(), PortError>;

    /// Removes a file. Idempotent.
    async fn remove_file(&self, path: &Utf8Path) -> Result<(), PortError>;

    /// Gives files to the uid and gid of a run.
    async fn give_to(&self, paths: &[Utf8PathBuf], owner: u32) -> Result<(), PortError>;

    /// Writes back what is dirty in these files, so that a clone inside the pause finds little to write.
    async fn sync_dirty(&self, paths: &[Utf8PathBuf]) -> Result<(), PortError>;

    /// Keeps a secret, durably, in a file that only root reads; the directory is made where it is missing.
    async fn keep_secret(&self, path: &Utf8Path, secret: &Secret) -> Result<(), PortError>;

    /// Reads it again.
    async fn read_secret(&self, path: &Utf8Path) -> Result<Secret, PortError>;

    /// Removes it. Idempotent.
    async fn forget_secret(&self, path: &Utf8Path) -> Result<(), PortError>;

    /// Operations that own something in `scratch`, for the sweep.
    async fn carried_scratch(&self) -> Result<Vec<OperationId>, PortError>;

    /// Removes an operation's scratch directory, whatever it holds. Idempotent.
    async fn remove_scratch(&self, operation: &OperationId) -> Result<(), PortError>;
}
