//! Files of the fake host.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{OperationId, Secret};
use engine::layout::Layout;
use engine::port::{DiskSource, Fault, Files, PortError};
use engine::record::ArtifactSum;

use super::content::Content;
use super::disk::{Entry, Inode};
use super::life::Life;
use super::world::State;

/// The files port of one life.
#[derive(Debug)]
pub struct FakeFiles {
    life: Life,
    layout: Layout,
}

impl FakeFiles {
    /// The port.
    pub fn new(life: Life, layout: Layout) -> Self {
        Self { life, layout }
    }

    /// Brings an artifact into the cache; its path there.
    async fn cached(&self, source: &DiskSource) -> Result<Utf8PathBuf, PortError> {
        let (url, sha256_hex) = match source {
            DiskSource::File { path } => return Ok(path.clone()),
            DiskSource::Artifact { url, sha256_hex } => (url, sha256_hex),
        };
        self.life
            .effect("files: fetch an artifact", |state| {
                let object = state.objects.read(url.as_str()).cloned().ok_or_else(|| {
                    PortError::plain(Fault::Upstream, format!("fetch {url:?}: nothing is there"))
                })?;
                let sha256 = object.content.sha256();
                if sha256_hex.as_ref().is_some_and(|wanted| *wanted != sha256) {
                    return Err(PortError::plain(Fault::Refused, format!("verify {url:?}")));
                }
                let path = self.layout.artifacts().join(sha256.as_str());
                if state.disk.entry(&path).is_none() {
                    let inode = Inode {
                        content: object.content,
                        size_bytes: object.size_bytes,
                        owner: 0,
                        is_read_only: true,
                        was_held_by_vmm: false,
                    };
                    state.disk.write(&path, inode)?;
                }
                Ok(path)
            })
            .await
    }
}

#[async_trait]
impl Files for FakeFiles {
    async fn make_dir(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        self.life
            .effect("files.make_dir", |state| match state.disk.entry(dir) {
                None => {
                    state.disk.make_dir(dir, Some(operation.clone()));
                    Ok(())
                }
                Some(Entry::Directory { carries: Some(carried) }) if carried == operation => Ok(()),
                Some(_) => {
                    Err(PortError::plain(Fault::Internal, format!("make {dir}: it is another's")))
                }
            })
            .await
    }

    async fn remove_made_dir(
        &self,
        dir: &Utf8Path,
        operation: &OperationId,
    ) -> Result<(), PortError> {
        self.life
            .effect("files.remove_made_dir", |state| {
                let is_ours = matches!(state.disk.entry(dir),
                    Some(Entry::Directory { carries: Some(carried) }) if carried == operation);
                if is_ours {
                    state.disk.remove_tree(dir);
                }
                Ok(())
            })
            .await
    }

    async fn remove_tree(&self, dir: &Utf8Path, scratch: &Utf8Path) -> Result<(), PortError> {
        self.life
            .effect("files.remove_tree: rename", |state| {
                if state.disk.entry(dir).is_none() {
                    return Ok(());
                }
                if !state.disk.has_dir(scratch) {
                    state.disk.make_dir(scratch, None);
                }
                let position = state.disk.tree(scratch).len();
                state.disk.rename(dir, &scratch.join(format!("removed-{position}")))
            })
            .await?;
        self.life
            .effect("files.remove_tree: remove", |state| {
                state.disk.remove_tree(scratch);
                Ok(())
            })
            .await
    }

    async fn place_artifact(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
    ) -> Result<ArtifactSum, PortError> {
        let from = self.cached(source).await?;
        self.life
            .effect("files.place_artifact", |state| {
                state.disk.link(&from, to)?;
                let (_, inode) = state.disk.file(to)?;
                Ok(ArtifactSum { sha256: inode.content.sha256(), size_bytes: inode.size_bytes })
            })
            .await
    }

    async fn clone_disk(
        &self,
        source: &DiskSource,
        to: &Utf8Path,
        size_bytes: Option<u64>,
        owner: Option<u32>,
    ) -> Result<(), PortError> {
        let from = self.cached(source).await?;
        self.life
            .effect("files.clone_disk", |state| clone(state, &from, to, size_bytes, owner))
            .await
    }

    async fn format_disk(
        &self,
        to: &Utf8Path,
        size_bytes: u64,
        label: &str,
    ) -> Result<(), PortError> {
        let inode = |text: String| Inode {
            content: Content::Text(text),
            size_bytes,
            owner: 0,
            is_read_only: false,
            was_held_by_vmm: false,
        };
        self.life
            .effect("files.format_disk: make", |state| {
                state.disk.write(to, inode("nothing yet".into())).map(drop)
            })
            .await?;
        self.life
            .effect("files.format_disk: format", |state| {
                state.disk.write(to, inode(format!("an empty file system {label}"))).map(drop)
            })
            .await
    }

    async fn grow_file(&self, path: &Utf8Path, size_bytes: u64) -> Result<(), PortError> {
        self.life
            .effect("files.grow_file", |state| {
                let inode = state.disk.file_mut(path)?;
                inode.size_bytes = inode.size_bytes.max(size_bytes);
                Ok(())
            })
            .await
    }

    async fn remove_file(&self, path: &Utf8Path) -> Result<(), PortError> {
        self.life
            .effect("files.remove_file", |state| {
                state.disk.remove_tree(path);
                Ok(())
            })
            .await
    }

    async fn give_to(&self, paths: &[Utf8PathBuf], owner: u32) -> Result<(), PortError> {
        self.life
            .effect("files.give_to", |state| {
                paths.iter().try_for_each(|path| {
                    state.disk.file_mut(path)?.owner = owner;
                    Ok(())
                })
            })
            .await
    }

    async fn sync_dirty(&self, paths: &[Utf8PathBuf]) -> Result<(), PortError> {
        self.life
            .effect("files.sync_dirty", |state| {
                paths.iter().try_for_each(|path| state.disk.file(path).map(drop))
            })
            .await
    }

    async fn keep_secret(&self, path: &Utf8Path, secret: &Secret) -> Result<(), PortError> {
        self.life
            .effect("files.keep_secret", |state| {
                let dir = parent(path);
                if !state.disk.has_dir(dir) {
                    state.disk.make_dir(dir, None);
                }
                let inode = Inode {
                    content: Content::Text(secret.reveal().to_owned()),
                    size_bytes: secret.reveal().len() as u64,
                    owner: 0,
                    is_read_only: false,
                    was_held_by_vmm: false,
                };
                state.disk.write(path, inode).map(drop)
            })
            .await
    }

    async fn read_secret(&self, path: &Utf8Path) -> Result<Secret, PortError> {
        self.life
            .effect("files.read_secret", |state| match &state.disk.file(path)?.1.content {
                Content::Text(text) => Ok(Secret::new(text.clone())),
                _ => Err(PortError::plain(Fault::Internal, format!("read {path}: no secret"))),
            })
            .await
    }

    async fn forget_secret(&self, path: &Utf8Path) -> Result<(), PortError> {
        self.life
            .effect("files.forget_secret", |state| {
                state.disk.remove_tree(path);
                // The directory goes with the last.
                if state.disk.tree(parent(path)).len() == 1 {
                    state.disk.remove_tree(parent(path));
                }
                Ok(())
            })
            .await
    }

    async fn carried_scratch(&self) -> Result<Vec<OperationId>, PortError> {
        let all = self.layout.all_scratch();
        self.life
            .effect("files.carried_scratch", |state| {
                let names = state.disk.entries().filter_map(|(path, _)| {
                    (path.parent() == Some(&all)).then(|| path.file_name()?.parse().ok()).flatten()
                });
                Ok(names.collect())
            })
            .await
    }

    async fn remove_scratch(&self, operation: &OperationId) -> Result<(), PortError> {
        let dir = self.layout.scratch(operation);
        self.life
            .effect("files.remove_scratch", |state| {
                state.disk.remove_tree(&dir);
                Ok(())
            })
            .await
    }
}

fn parent(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(path)
}

fn clone(
    state: &mut State,
    from: &Utf8Path,
    to: &Utf8Path,
    size_bytes: Option<u64>,
    owner: Option<u32>,
) -> Result<(), PortError> {
    let (number, source) = state.disk.file(from)?;
    let source = source.clone();
    let mut processes = state.processes.values();
    let writer = processes.find(|vmm| !vmm.is_paused && vmm.open_inodes.contains(&number));
    if let Some(writer) = writer {
        let what = format!("P5: {from} is cloned while {} writes it", writer.spec.launch.machine);
        state.defects.insert(what);
    }
    let inode = Inode {
        size_bytes: size_bytes.unwrap_or(0).max(source.size_bytes),
        content: source.content,
        owner: owner.unwrap_or(0),
        is_read_only: false,
        was_held_by_vmm: false,
    };
    state.disk.write(to, inode).map(drop)
}
