//! The port `Chunks`: sealing, checking, sending and fetching, over the crate of that name.

use std::str::FromStr;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use chunks::seal::{self, IdentityDifference, VerifyError};
use chunks::transfer::{
    Durability, Expected, FinishedPart, KeepPart, MissingParts, Part, ProgressError,
};
use chunks::{ChunkedLimits, ManifestLimits, SealLimits, SealSpec, Sha256Digest, TransferClient};
use contract::artifact::ArtifactId;
use contract::{OperationId, PresignedUrl, Sha256Hex};
use engine::layout::snapshot_file;
use engine::port::{
    CheckDepth, Chunks, DownloadTarget, Fault, PartSink, PortError, SealRequest, UploadJob,
    UploadPart,
};
use engine::record::{ArtifactSum, Manifest, SealedArtifact, SnapshotOrigin};
use tokio_util::sync::CancellationToken;

use super::blocking;
use super::chunk_words::{
    artifact_name, file_name, hex_of, secret, summary, transfer_error, verify_error,
};
use super::files::{give, grow};
use super::filling::FillingGroups;
use super::owned_dir::OwnedDirs;
use super::seal_record::{SealRecord, SealedName};

type Document = chunks::Manifest<SnapshotOrigin>;

/// Snapshot bytes of one daemon.
#[derive(Debug, Clone)]
pub struct HostChunks {
    client: TransferClient,
    owned: OwnedDirs,
    seal_limits: SealLimits,
    manifest_limits: ManifestLimits,
    form_limits: ChunkedLimits,
    pub(super) groups: FillingGroups,
}

impl HostChunks {
    /// Moves bytes with `client`; what is unpublished goes through `scratch`.
    pub fn new(client: TransferClient, scratch: Utf8PathBuf, groups: FillingGroups) -> Self {
        Self {
            client,
            owned: OwnedDirs::new(scratch),
            seal_limits: SealLimits::default(),
            manifest_limits: ManifestLimits::default(),
            form_limits: ChunkedLimits::default(),
            groups,
        }
    }

    pub(super) fn client(&self) -> &TransferClient {
        &self.client
    }

    pub(super) fn form_limits(&self) -> &ChunkedLimits {
        &self.form_limits
    }
}

#[async_trait]
impl Chunks for HostChunks {
    async fn seal(
        &self,
        request: &SealRequest,
        _operation: &OperationId,
    ) -> Result<Vec<SealedArtifact>, PortError> {
        let (request, this) = (request.clone(), self.clone());
        blocking("seal a snapshot", move || this.seal_now(&request)).await
    }

    async fn publish(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), PortError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking("publish a snapshot", move || {
            chunks::files::publish(&from, &to)
                .map_err(|error| PortError::internal(format!("publish {to}"), error))
        })
        .await
    }

    async fn unpublish(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        // The mark of the operation that made the directory travelled with it.
        let (owned, dir, operation) = (self.owned.clone(), dir.to_owned(), operation.clone());
        blocking("remove a snapshot", move || owned.remove(&dir, &operation)).await
    }

    async fn read_manifest(&self, dir: &Utf8Path) -> Result<Manifest, PortError> {
        let (dir, this) = (dir.to_owned(), self.clone());
        blocking("read a manifest", move || summary(&this.sealed_manifest(&dir)?.0)).await
    }

    async fn fetch_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
    ) -> Result<Manifest, PortError> {
        let bytes = self.fetch_manifest_bytes(url, sha256).await?;
        summary(&self.decode(&bytes)?)
    }

    async fn keep_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
        dir: &Utf8Path,
    ) -> Result<(), PortError> {
        let bytes = self.fetch_manifest_bytes(url, sha256).await?;
        let path = dir.join(snapshot_file::MANIFEST);
        blocking("keep a manifest", move || {
            chunks::files::write_file(&path, &bytes, 0o400)
                .map_err(|error| PortError::internal(format!("write {path}"), error))
        })
        .await
    }

    async fn check_sealed(&self, dir: &Utf8Path, depth: CheckDepth) -> Result<(), PortError> {
        let (dir, this) = (dir.to_owned(), self.clone());
        blocking("check a snapshot", move || this.check_now(&dir, depth)).await
    }

    async fn sum(&self, dir: &Utf8Path, artifact: ArtifactId) -> Result<ArtifactSum, PortError> {
        let path = dir.join(artifact.file_name());
        blocking("sum an artifact", move || {
            let action = format!("sum {path}");
            match chunks::files::sha256_file(&path, &CancellationToken::new()) {
                Ok((digest, size_bytes)) => Ok(ArtifactSum { sha256: hex_of(digest), size_bytes }),
                Err(chunks::files::Sha256Error::Read { source, .. }) => {
                    Err(PortError::io(action, source))
                }
                Err(error) => Err(PortError::internal(action, error)),
            }
        })
        .await
    }

    async fn upload(&self, job: &UploadJob, sink: &dyn PartSink) -> Result<(), PortError> {
        let parts = job.parts.iter().map(|part| {
            Ok(Part {
                number: part.part_number,
                offset_bytes: part.offset_bytes,
                size_bytes: part.size_bytes,
                url: secret(&part.url)?,
            })
        });
        let missing = MissingParts {
            artifact: artifact_name(job.artifact)?,
            upload_id: job.upload_id.clone(),
            path: job.path.clone(),
            parts: parts.collect::<Result<_, PortError>>()?,
        };
        self.client
            .send_parts(vec![missing], &Sink { job, sink })
            .await
            .map(drop)
            .map_err(|error| transfer_error(format!("upload {}", job.artifact), error))
    }

    async fn download(
        &self,
        target: &DownloadTarget,
        manifest_dir: &Utf8Path,
    ) -> Result<(), PortError> {
        let path = manifest_dir.join(snapshot_file::MANIFEST);
        let limits = self.manifest_limits.clone();
        let document = blocking("read a manifest", move || read_document(&path, &limits)).await?.0;
        let entry = document.file(&artifact_name(target.artifact)?).cloned().ok_or_else(|| {
            PortError::plain(Fault::Refused, format!("find {} in the manifest", target.artifact))
        })?;
        // Memory is worthless after a crash of the host; a disk is what the machine starts from again.
        let durability = match target.artifact {
            ArtifactId::Memory => Durability::Transient,
            _ => Durability::Synced,
        };
        self.client
            .download(&secret(&target.url)?, &Expected::Chunks(entry), &target.to, durability)
            .await
            .map_err(|error| transfer_error(format!("download {}", target.artifact), error))?;
        let target = target.clone();
        blocking("hand on a download", move || {
            grow(&target.to, target.size_bytes)?;
            target.owner.map_or(Ok(()), |owner| give(&target.to, owner))
        })
        .await
    }
}

impl HostChunks {
    fn seal_now(&self, request: &SealRequest) -> Result<Vec<SealedArtifact>, PortError> {
        let dir = &request.dir;
        for leftover in &request.leftovers {
            let path = dir.join(leftover);
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(PortError::io(format!("remove {path}"), error));
            }
        }
        let internal = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::internal(format!("seal {dir}"), error)
        };
        let specs = request
            .artifacts
            .iter()
            .map(|artifact| {
                Ok(SealSpec { id: artifact_name(*artifact)?, name: file_name(*artifact)? })
            })
            .collect::<Result<Vec<_>, PortError>>()?;
        let never = CancellationToken::new();
        let sealed = seal::seal_directory(dir, &specs, &self.seal_limits, &never)
            .map_err(|error| internal(error.into()))?;
        let mut artifacts: Vec<SealedArtifact> = request
            .artifacts
            .iter()
            .zip(&sealed)
            .map(|(artifact, file)| SealedArtifact {
                artifact: *artifact,
                size_bytes: file.entry.size_bytes(),
                data_bytes: file.entry.data_bytes(),
                sha256: None,
            })
            .collect();
        let names = specs.into_iter().zip(&sealed).map(|(spec, file)| SealedName {
            id: spec.id,
            name: spec.name,
            identity: file.identity.clone(),
        });
        let names = names.collect();
        let entries = sealed.into_iter().map(|file| file.entry).collect();
        let document = Document::new(request.origin.clone(), entries, &self.manifest_limits)
            .map_err(|error| internal(error.into()))?;
        let path = dir.join(snapshot_file::MANIFEST);
        let written = seal::write_manifest(&path, &document, &self.manifest_limits)
            .map_err(|error| internal(error.into()))?;
        let sha256 = hex_of(written.sha256);
        SealRecord::new(sha256.clone(), names).write(dir)?;
        artifacts.push(SealedArtifact {
            artifact: ArtifactId::Manifest,
            size_bytes: written.size_bytes,
            data_bytes: written.size_bytes,
            sha256: Some(sha256),
        });
        Ok(artifacts)
    }

    /// The manifest of a published snapshot, if it is the one that was sealed.
    pub(super) fn sealed_manifest(
        &self,
        dir: &Utf8Path,
    ) -> Result<(Document, SealRecord), PortError> {
        let record = SealRecord::read(dir)?;
        let path = dir.join(snapshot_file::MANIFEST);
        let (document, digest) = read_document(&path, &self.manifest_limits)?;
        if hex_of(digest) != record.manifest_sha256 {
            let action = format!("use {path}, which is not the manifest that was sealed");
            return Err(PortError::plain(Fault::Refused, action));
        }
        Ok((document, record))
    }

    fn check_now(&self, dir: &Utf8Path, depth: CheckDepth) -> Result<(), PortError> {
        let (document, mut record) = self.sealed_manifest(dir)?;
        let mut is_renumbered = false;
        for sealed in &mut record.files {
            let path = dir.join(sealed.name.as_str());
            let hash = || self.hash_again(&path, &document, &sealed.id);
            match seal::verify_identity(&path, &sealed.identity) {
                Ok(()) if depth == CheckDepth::Identity => {}
                Ok(()) => hash()?,
                // A loop device may be numbered anew at boot: the bytes then say whether it is the file.
                Err(VerifyError::Identity { differences, .. })
                    if differences == [IdentityDifference::Device] =>
                {
                    hash()?;
                    sealed.identity = identity_now(&path)?;
                    is_renumbered = true;
                }
                Err(error) => return Err(verify_error(&path, error)),
            }
        }
        if is_renumbered { record.write(dir) } else { Ok(()) }
    }

    fn hash_again(
        &self,
        path: &Utf8Path,
        document: &Document,
        id: &chunks::ArtifactId,
    ) -> Result<(), PortError> {
        let entry = document.file(id).ok_or_else(|| {
            PortError::plain(Fault::Refused, format!("find {path} in its manifest"))
        })?;
        seal::verify_full(path, entry, &self.seal_limits, &CancellationToken::new())
            .map_err(|error| verify_error(path, error))
    }

    async fn fetch_manifest_bytes(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
    ) -> Result<Vec<u8>, PortError> {
        self.fetch_document(url, sha256, self.manifest_limits.size_bytes, "fetch the manifest")
            .await
    }

    /// A document of at most `limit_bytes` whose digest is known; no other bytes are answered.
    pub(super) async fn fetch_document(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
        limit_bytes: u64,
        action: &str,
    ) -> Result<Vec<u8>, PortError> {
        let expected = Sha256Digest::from_str(sha256.as_str())
            .map_err(|error| PortError::internal("read a SHA-256", error))?;
        self.client
            .fetch_small(&secret(url)?, limit_bytes, expected)
            .await
            .map_err(|error| transfer_error(action.to_owned(), error))
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Document, PortError> {
        Document::decode(bytes, &self.manifest_limits).map_err(|error| PortError {
            action: "understand the manifest".into(),
            fault: Fault::Refused,
            source: Some(error.into()),
        })
    }
}

/// Notes each finished part in the journal before it counts.
struct Sink<'a> {
    job: &'a UploadJob,
    sink: &'a dyn PartSink,
}

impl KeepPart for Sink<'_> {
    async fn keep(&self, part: &FinishedPart) -> Result<(), ProgressError> {
        let same = |known: &&UploadPart| known.part_number == part.part_number;
        let Some(known) = self.job.parts.iter().find(same) else {
            return Err("a part that was not asked for was sent".into());
        };
        self.sink.finished(self.job, known, &part.etag).await.map_err(Into::into)
    }
}

fn read_document(
    path: &Utf8Path,
    limits: &ManifestLimits,
) -> Result<(Document, Sha256Digest), PortError> {
    seal::read_manifest(path, limits).map_err(|error| PortError {
        action: format!("read {path}"),
        fault: Fault::Refused,
        source: Some(error.into()),
    })
}

fn identity_now(path: &Utf8Path) -> Result<chunks::SealedIdentity, PortError> {
    chunks::files::open_regular(path)
        .and_then(|file| chunks::SealedIdentity::of(&file))
        .map_err(|error| PortError::io(format!("look at {path}"), error))
}
