//! Sending the files of a snapshot to an object store, by URLs that the caller signed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifact::ArtifactId;
use crate::forgiving;
use crate::location::PresignedUrl;

/// A request to upload files of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadSnapshotRequest {
    /// The files and where each goes.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub artifacts: Vec<ArtifactUpload>,
}

/// Where one file goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactUpload {
    /// Which file.
    pub artifact_id: ArtifactId,
    /// The key of the object.
    pub object_key: String,
    /// The multipart upload that the parts belong to. Progress is kept under it: fresh URLs with the same id continue.
    pub upload_id: String,
    /// The parts, which together cover the file without gap or overlap.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub parts: Vec<UploadPart>,
}

/// One part of a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadPart {
    /// Its number, from 1.
    pub part_number: u32,
    /// Where in the file it begins; 0 when absent.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub offset_bytes: u64,
    /// How long it is.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub size_bytes: u64,
    /// By which URL it is put.
    pub upload_url: PresignedUrl,
}

/// The answer to a finished upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadSnapshotResponse {
    /// The files, in the order of the request.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub artifacts: Vec<UploadedArtifact>,
}

/// What the object store said to the parts of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadedArtifact {
    /// Which file.
    pub artifact_id: ArtifactId,
    /// Its parts, in the order of their numbers.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub completed_parts: Vec<CompletedPart>,
}

/// A part that the object store has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompletedPart {
    /// Its number.
    pub part_number: u32,
    /// What the store calls its content, as the store wrote it.
    pub etag: String,
}
