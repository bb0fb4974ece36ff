//! The cache of kernels and root images: fetched once, verified, kept by content, evicted least recently used.
//!
//! ```text
//!  url (+ digest) --known?--> artifacts/<sha256>          read-only, root's
//!        | no
//!        +-> scratch file -- http: streamed and hashed | file: cloned and hashed -- rename -> artifacts/<sha256>
//! ```
//! A digest that is given names the content: another URL or another query string finds the same file. Without one, the whole URL
//! names it for as long as the content stays cached.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use chunks::files::{CloneMode, clone_file, open_regular};
use chunks::{SecretUrl, Sha256Digest, TransferClient};
use contract::{ArtifactUrl, Sha256Hex};
use engine::port::{Fault, PortError};
use engine::record::ArtifactSum;
use tokio_util::sync::CancellationToken;

use super::blocking;
use super::chunk_words::transfer_error;

/// The largest image that is accepted: a larger root image belongs on a volume.
const LARGEST_BYTES: u64 = 1 << 40;

/// Why a `file` URL is not served.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Not beneath a configured directory, once links are followed.
    #[error("{0} does not lie beneath one of the configured image_dirs")]
    Outside(Utf8PathBuf),
    /// The bytes are others than the caller said.
    #[error("the SHA-256 is {found}, not {expected}")]
    Digest {
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
}

/// Keeps an artifact from being evicted while it is linked or cloned.
pub(super) type Lease = tokio::sync::OwnedRwLockReadGuard<()>;

/// An artifact in the cache.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) path: Utf8PathBuf,
    pub(super) sum: ArtifactSum,
    pub(super) lease: Lease,
}

/// What names an artifact whose content is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The whole URL. Kept in memory only: a signature is a secret.
    Url(String),
    /// A file by identity: a rewritten file is another one.
    File { device: u64, inode: u64, size_bytes: u64, modified_ns: i128 },
}

/// The cache of one daemon.
#[derive(Debug)]
pub struct ArtifactCache {
    dir: Utf8PathBuf,
    scratch: Utf8PathBuf,
    image_dirs: Vec<Utf8PathBuf>,
    limit_bytes: u64,
    client: TransferClient,
    known: Mutex<HashMap<Key, Sha256Hex>>,
    /// One fetch at a time for each source, so that ten creates fetch an image once.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    in_use: Arc<tokio::sync::RwLock<()>>,
}

impl ArtifactCache {
    /// A cache in `dir`, which exists, growing in `scratch` on the same file system.
    pub fn new(
        dir: Utf8PathBuf,
        scratch: Utf8PathBuf,
        image_dirs: Vec<Utf8PathBuf>,
        limit_bytes: u64,
        client: TransferClient,
    ) -> Self {
        Self {
            dir,
            scratch,
            image_dirs,
            limit_bytes,
            client,
            known: Mutex::default(),
            fetching: Mutex::default(),
            in_use: Arc::default(),
        }
    }

    /// The artifact behind a URL, fetched if it is not there. With a digest, no other bytes are ever answered.
    pub(super) async fn fetch(
        &self,
        url: &ArtifactUrl,
        sha256: Option<&Sha256Hex>,
    ) -> Result<Cached, PortError> {
        let source = sha256.map_or_else(|| url.as_str().to_owned(), ToString::to_string);
        let turn = self.turn(&source);
        let _turn = turn.lock().await;
        let lease = Arc::clone(&self.in_use).read_owned().await;
        if let Some(sha256) = sha256
            && let Some(sum) = self.kept(sha256).await?
        {
            return Ok(Cached { path: self.path(&sum.sha256), sum, lease });
        }
        let (sum, is_new) = match local_path(url) {
            Some(path) => self.fetch_local(&path, sha256).await?,
            None => self.fetch_remote(url, sha256).await?,
        };
        let path = self.path(&sum.sha256);
        if !is_new {
            return Ok(Cached { path, sum, lease });
        }
        drop(lease);
        self.evict(&sum.sha256).await?;
        let lease = Arc::clone(&self.in_use).read_owned().await;
        // Between the two leases another fetch may have evicted it again.
        match self.kept(&sum.sha256).await? {
            Some(sum) => Ok(Cached { path, sum, lease }),
            None => Err(PortError::plain(
                Fault::NoRoom,
                "keep an artifact, for which the cache has no room",
            )),
        }
    }

    fn turn(&self, source: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(source.to_owned()).or_default())
    }

    fn path(&self, sha256: &Sha256Hex) -> Utf8PathBuf {
        self.dir.join(sha256.as_str())
    }

    fn recall(&self, key: &Key) -> Option<Sha256Hex> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember(&self, key: Key, sha256: Sha256Hex) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sha256);
    }

    /// The sum of a kept artifact, whose use is noted in its modification time.
    async fn kept(&self, sha256: &Sha256Hex) -> Result<Option<ArtifactSum>, PortError> {
        let (path, sha256) = (self.path(sha256), sha256.clone());
        blocking("look for an artifact", move || {
            let file = match open_regular(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(PortError::io(format!("open {path}"), error)),
            };
            let error = |error| PortError::io(format!("note the use of {path}"), error);
            file.set_modified(SystemTime::now()).map_err(error)?;
            let size_bytes = file.metadata().map_err(error)?.len();
            Ok(Some(ArtifactSum { sha256, size_bytes }))
        })
        .await
    }

    async fn fetch_remote(
        &self,
        url: &ArtifactUrl,
        sha256: Option<&Sha256Hex>,
    ) -> Result<(ArtifactSum, bool), PortError> {
        let key = Key::Url(url.as_str().to_owned());
        if sha256.is_none()
            && let Some(known) = self.recall(&key)
            && let Some(sum) = self.kept(&known).await?
        {
            return Ok((sum, false));
        }
        let expected = sha256
            .map(|sha256| sha256.as_str().parse::<Sha256Digest>())
            .transpose()
            .map_err(|error| PortError::internal("read a SHA-256", Box::new(error)))?;
        let secret = SecretUrl::try_from(url.as_url().clone())
            .map_err(|error| PortError::internal("use an artifact's URL", error))?;
        let target = self.scratch.join(format!(".artifact-{:016x}", fastrand::u64(..)));
        let fetched = self
            .client
            .fetch_to_file(&secret, &target, LARGEST_BYTES, expected)
            .await
            .map_err(|error| transfer_error("fetch an artifact".into(), error))?;
        let sum = ArtifactSum {
            sha256: Sha256Hex::from_bytes(fetched.sha256.as_bytes()),
            size_bytes: fetched.size_bytes,
        };
        self.keep(&target, &sum).await?;
        self.remember(key, sum.sha256.clone());
        Ok((sum, true))
    }

    async fn fetch_local(
        &self,
        path: &Utf8Path,
        sha256: Option<&Sha256Hex>,
    ) -> Result<(ArtifactSum, bool), PortError> {
        let (path, dirs) = (path.to_owned(), self.image_dirs.clone());
        let (path, key) = blocking("look at an image", move || beneath(&path, &dirs)).await?;
        if let Some(known) = self.recall(&key)
            && sha256.is_none_or(|sha256| *sha256 == known)
            && let Some(sum) = self.kept(&known).await?
        {
            return Ok((sum, false));
        }
        let target = self.scratch.join(format!(".artifact-{:016x}", fastrand::u64(..)));
        let (copy, expected) = (target.clone(), sha256.cloned());
        // What is hashed is our copy: nobody can change it between the sum and the use.
        let sum = blocking("copy an image", move || {
            let copied = copy_and_sum(&path, &copy, expected.as_ref());
            if copied.is_err() {
                remove_if_there(&copy)?;
            }
            copied
        })
        .await?;
        self.keep(&target, &sum).await?;
        self.remember(key, sum.sha256.clone());
        Ok((sum, true))
    }

    /// Gives a verified file its name. Another fetch may have been faster with the same content.
    async fn keep(&self, target: &Utf8Path, sum: &ArtifactSum) -> Result<(), PortError> {
        let (target, path) = (target.to_owned(), self.path(&sum.sha256));
        blocking("keep an artifact", move || match chunks::files::publish(&target, &path) {
            Ok(()) => Ok(()),
            Err(chunks::files::DurableError::Exists { .. }) => remove_if_there(&target),
            Err(error) => Err(PortError::internal(format!("keep {path}"), error)),
        })
        .await
    }

    /// Removes what was used longest ago until the limit holds, but never `newest` and nothing that is in use now.
    async fn evict(&self, newest: &Sha256Hex) -> Result<(), PortError> {
        let Ok(_nobody_uses) = self.in_use.try_write() else { return Ok(()) };
        let (dir, limit, newest) = (self.dir.clone(), self.limit_bytes, self.path(newest));
        blocking("evict artifacts", move || {
            let error = |error| PortError::io(format!("list {dir}"), error);
            let mut files = Vec::new();
            for entry in dir.read_dir_utf8().map_err(error)? {
                let entry = entry.map_err(error)?;
                let metadata = entry.metadata().map_err(error)?;
                files.push((metadata.mtime(), metadata.blocks() * 512, entry.into_path()));
            }
            files.sort();
            let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
            for (_, bytes, path) in files {
                if total <= limit || path == newest {
                    break;
                }
                remove_if_there(&path)?;
                total -= bytes;
            }
            Ok(())
        })
        .await
    }
}

fn local_path(url: &ArtifactUrl) -> Option<Utf8PathBuf> {
    let url = url.as_url();
    let path = (url.scheme() == "file").then(|| url.to_file_path().ok())??;
    Utf8PathBuf::from_path_buf(path).ok()
}

/// The file itself, links followed, if that still lies beneath an allowed directory (P1).
fn beneath(path: &Utf8Path, dirs: &[Utf8PathBuf]) -> Result<(Utf8PathBuf, Key), PortError> {
    let error = |error| PortError::io(format!("open {path}"), error);
    let real = path.canonicalize_utf8().map_err(error)?;
    let is_allowed =
        dirs.iter().filter_map(|dir| dir.canonicalize_utf8().ok()).any(|dir| real.starts_with(dir));
    if !is_allowed {
        return Err(PortError {
            action: "use an image".into(),
            fault: Fault::Refused,
            source: Some(ArtifactError::Outside(path.to_owned()).into()),
        });
    }
    let metadata = open_regular(&real).and_then(|file| file.metadata()).map_err(error)?;
    let modified_ns =
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let key = Key::File {
        device: metadata.dev(),
        inode: metadata.ino(),
        size_bytes: metadata.len(),
        modified_ns,
    };
    Ok((real, key))
}

fn copy_and_sum(
    from: &Utf8Path,
    to: &Utf8Path,
    expected: Option<&Sha256Hex>,
) -> Result<ArtifactSum, PortError> {
    clone_file(from, to, CloneMode::Auto, 0o444)
        .map_err(|error| PortError::internal(format!("copy {from}"), error))?;
    chunks::files::sync_data(to)
        .map_err(|error| PortError::internal(format!("sync {to}"), error))?;
    let (digest, size_bytes) = chunks::files::sha256_file(to, &CancellationToken::new())
        .map_err(|error| PortError::internal(format!("sum {to}"), error))?;
    let sha256 = Sha256Hex::from_bytes(digest.as_bytes());
    match expected {
        Some(expected) if *expected != sha256 => Err(PortError {
            action: format!("verify {from}"),
            fault: Fault::Refused,
            source: Some(
                ArtifactError::Digest { found: sha256.into(), expected: expected.to_string() }
                    .into(),
            ),
        }),
        _ => Ok(ArtifactSum { sha256, size_bytes }),
    }
}

fn remove_if_there(path: &Utf8Path) -> Result<(), PortError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PortError::io(format!("remove {path}"), error))
        }
        _ => Ok(()),
    }
}
