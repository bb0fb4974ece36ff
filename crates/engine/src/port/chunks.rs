//! Snapshot bytes: sealing, checking, sending, fetching.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::artifact::ArtifactId;
use contract::{OperationId, PresignedUrl, Sha256Hex};
use serde::{Deserialize, Serialize};

use crate::record::{ArtifactSum, Manifest, SealedArtifact, SnapshotOrigin};

use super::{Filling, Forms, PortError};

/// What is sealed, and as what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealRequest {
    /// The directory that holds the captured files and will hold the manifest.
    pub dir: Utf8PathBuf,
    /// The files in it, in manifest order.
    pub artifacts: Vec<ArtifactId>,
    /// Names of files in it that are removed before it is sealed.
    pub leftovers: Vec<Utf8PathBuf>,
    /// What the snapshot was taken of.
    pub origin: SnapshotOrigin,
}

/// One part of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPart {
    /// Its number, from 1.
    pub part_number: u32,
    /// Where it begins in the artifact.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// The pre-signed PUT. A secret.
    pub url: PresignedUrl,
}

/// The missing parts of one artifact of one multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadJob {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The caller's id of the multipart upload.
    pub upload_id: String,
    /// The file.
    pub path: Utf8PathBuf,
    /// What is still to be sent, in part order.
    pub parts: Vec<UploadPart>,
}

/// An artifact to be fetched from a pre-signed GET and verified on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadTarget {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The pre-signed GET. A secret.
    pub url: PresignedUrl,
    /// Where it goes.
    pub to: Utf8PathBuf,
    /// Grown to this when larger, once verified.
    pub size_bytes: Option<u64>,
    /// The uid and gid it is given to.
    pub owner: Option<u32>,
}

/// Receives each finished part, before the next is counted as sent.
#[async_trait]
pub trait PartSink: Send + Sync {
    /// Part `part_number` of the job is in the store under `etag`.
    async fn finished(
        &self,
        job: &UploadJob,
        part: &UploadPart,
        etag: &str,
    ) -> Result<(), PortError>;
}

/// Bytes of snapshots, raw; their chunked forms are [`Forms`]', files that are filled while a guest uses them [`Filling`]'s.
#[async_trait]
pub trait Chunks: Forms + Filling + Send + Sync {
    /// Seals captured files: hashed, root-owned, 0444, synced, with manifest and the identity of every file. The directory
    /// remembers the operation.
    async fn seal(
        &self,
        request: &SealRequest,
        operation: &OperationId,
    ) -> Result<Vec<SealedArtifact>, PortError>;

    /// Moves a sealed directory to its published place; never over an existing one.
    async fn publish(&self, from: &Utf8Path, to: &Utf8Path) -> Result<(), PortError>;

    /// Removes a published directory if, and only if, this operation sealed it.
    async fn unpublish(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError>;

    /// Reads the manifest of a published snapshot, strictly.
    async fn read_manifest(&self, dir: &Utf8Path) -> Result<Manifest, PortError>;

    /// Fetches a manifest whose digest is known; refuses any other bytes.
    async fn fetch_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
    ) -> Result<Manifest, PortError>;

    /// As [`Chunks::fetch_manifest`], and keeps the document in `dir` for the downloads that follow.
    async fn keep_manifest(
        &self,
        url: &PresignedUrl,
        sha256: &Sha256Hex,
        dir: &Utf8Path,
    ) -> Result<(), PortError>;

    /// Checks that every file is the very one that was sealed.
    async fn check_sealed(&self, dir: &Utf8Path, depth: CheckDepth) -> Result<(), PortError>;

    /// SHA-256 of the raw artifact, holes read as zeros.
    async fn sum(&self, dir: &Utf8Path, artifact: ArtifactId) -> Result<ArtifactSum, PortError>;

    /// Sends the missing parts, in parallel within bounds.
    async fn upload(&self, job: &UploadJob, sink: &dyn PartSink) -> Result<(), PortError>;

    /// Fetches one artifact, verified chunk by chunk against the manifest kept in `manifest_dir` before it lies under its name.
    async fn download(
        &self,
        target: &DownloadTarget,
        manifest_dir: &Utf8Path,
    ) -> Result<(), PortError>;
}

/// How deep a check of a sealed snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckDepth {
    /// Manifest and the identity of each file.
    Identity,
    /// Every byte is hashed again.
    Full,
}
