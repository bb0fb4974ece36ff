//! Snapshot bytes of the fake host: sealing, checking, sending, fetching.

use async_trait::async_trait;
use camino::Utf8Path;
use contract::artifact::ArtifactId;
use contract::{OperationId, PresignedUrl, Sha256Hex};
use engine::port::{
    CheckDepth, Chunks, DownloadTarget, Fault, PartSink, PortError, SealRequest, UploadJob,
};
use engine::record::{ArtifactSum, Manifest, ManifestFile, SealedArtifact};

use super::content::{Content, ManifestDocument};
use super::disk::Inode;
use super::life::Life;
use super::sealed::{check, document, form_document, seal};
use super::world::State;

/// The chunks port of one life.
#[derive(Debug)]
pub struct FakeChunks {
    pub(super) life: Life,
}

impl FakeChunks {
    /// The port.
    pub fn new(life: Life) -> Self {
        Self { life }
    }
}

const KEPT_MANIFEST: &str = "manifest.json";

#[async_trait]
impl Chunks for FakeChunks {
    async fn seal(
        &self,
        request: &SealRequest,
        operation: &OperationId,
    ) -> Result<Vec<SealedArtifact>, PortError> {
        self.life
            .effect("chunks.seal: leftovers", |state| {
                for name in &request.leftovers {
                    state.disk.remove_tree(&request.dir.join(name));
                }
                Ok(())
            })
            .await?;
        self.life.effect("chunks.seal: manifest", |state| seal(state, request, operation)).await
    }

    async fn publish(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), PortError> {
        self.life.effect("chunks.publish", |state| state.disk.rename(from, to)).await
    }

    async fn unpublish(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        self.life
            .effect("chunks.unpublish", |state| {
                let is_ours = document(state, dir)
                    .or_else(|_| form_document(state, dir))
                    .is_ok_and(|document| document.operation == operation.as_str());
                if is_ours {
                    state.disk.remove_tree(dir);
                }
                Ok(())
            })
            .await
    }

    async fn read_manifest(&self, dir: &Utf8Path) -> Result<Manifest, PortError> {
        self.life.effect("chunks.read_manifest", |state| manifest_in(state, dir)).await
    }

    async fn fetch_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
    ) -> Result<Manifest, PortError> {
        self.life
            .effect("chunks.fetch_manifest", |state| {
                let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                match &object.content {
                    Content::Manifest(document) if object.content.sha256() == *sha256 => {
                        Ok(manifest(document))
                    }
                    _ => Err(PortError::plain(Fault::Refused, format!("verify {url:?}"))),
                }
            })
            .await
    }

    async fn keep_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
        dir: &Utf8Path,
    ) -> Result<(), PortError> {
        self.fetch_manifest(url, sha256).await?;
        self.life
            .effect("chunks.keep_manifest", |state| {
                let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                let inode = fetched(object.content.clone(), object.size_bytes, 0);
                state.disk.write(&dir.join(KEPT_MANIFEST), inode).map(drop)
            })
            .await
    }

    async fn check_sealed(&self, dir: &Utf8Path, depth: CheckDepth) -> Result<(), PortError> {
        self.life.effect("chunks.check_sealed", |state| check(state, dir, depth)).await
    }

    async fn sum(&self, dir: &Utf8Path, artifact: ArtifactId) -> Result<ArtifactSum, PortError> {
        self.life
            .effect("chunks.sum", |state| {
                let (_, inode) = state.disk.file(&dir.join(artifact.file_name()))?;
                Ok(ArtifactSum { sha256: inode.content.sha256(), size_bytes: inode.size_bytes })
            })
            .await
    }

    async fn upload(&self, job: &UploadJob, sink: &dyn PartSink) -> Result<(), PortError> {
        for part in &job.parts {
            let etag = self
                .life
                .effect("chunks.upload: part", |state| {
                    let content = state.disk.file(&job.path)?.1.content.clone();
                    let span = (part.offset_bytes, part.size_bytes);
                    Ok(state.objects.put_part(&job.upload_id, part.part_number, &content, span))
                })
                .await?;
            sink.finished(job, part, &etag).await?;
        }
        Ok(())
    }

    async fn download(
        &self,
        target: &DownloadTarget,
        manifest_dir: &Utf8Path,
    ) -> Result<(), PortError> {
        let url = &target.url;
        let partial = target.to.with_extension("partial");
        self.life
            .effect("chunks.download: bytes", |state| {
                let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                let (content, size_bytes) = (object.content.clone(), object.size_bytes);
                let wanted = document(state, manifest_dir)?;
                let is_wanted = wanted.files.iter().any(|file| {
                    file.artifact == target.artifact
                        && file.sha256 == content.sha256()
                        && file.size_bytes == size_bytes
                });
                if !is_wanted {
                    return Err(PortError::plain(Fault::Refused, format!("verify {url:?}")));
                }
                let size_bytes = target.size_bytes.unwrap_or(0).max(size_bytes);
                let inode = fetched(content, size_bytes, target.owner.unwrap_or(0));
                state.disk.write(&partial, inode).map(drop)
            })
            .await?;
        self.life
            .effect("chunks.download: name", |state| state.disk.rename(&partial, &target.to))
            .await
    }
}

/// The manifest in a directory, as planning sees it.
pub fn manifest_in(state: &State, dir: &Utf8Path) -> Result<Manifest, PortError> {
    Ok(manifest(&document(state, dir)?))
}

pub(super) fn manifest(document: &ManifestDocument) -> Manifest {
    let file = |file: &super::content::SealedFile| ManifestFile {
        artifact: file.artifact,
        size_bytes: file.size_bytes,
        data_bytes: file.size_bytes,
    };
    Manifest { origin: document.origin.clone(), files: document.files.iter().map(file).collect() }
}

pub(super) fn fetched(content: Content, size_bytes: u64, owner: u32) -> Inode {
    Inode { content, size_bytes, owner, is_read_only: false, was_held_by_vmm: false }
}

pub(super) fn missing(url: &PresignedUrl) -> PortError {
    PortError::plain(Fault::Upstream, format!("fetch {url:?}: nothing is there"))
}
