//! Remembering which parts are stored, so that a repeated request sends only what is missing.

use crate::names::ArtifactId;

/// Why the caller's memory failed.
pub type ProgressError = Box<dyn std::error::Error + Send + Sync>;

/// A part that the store has. Everything but the tag is the key under which it is found again; URLs
/// may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedPart {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// Which multipart upload; another one starts anew.
    pub upload_id: String,
    /// Its number.
    pub part_number: u32,
    /// Where it begins in the file.
    pub offset_bytes: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// What the store answered, quotes and all.
    pub etag: String,
}

/// Keeps finished parts.
pub trait KeepPart: Sync {
    /// Keeps a part before the upload goes on. Called once for each part as it finishes, in no
    /// order.
    fn keep(&self, part: &FinishedPart) -> impl Future<Output = Result<(), ProgressError>> + Send;
}

/// The caller's whole memory of finished parts.
pub trait UploadProgress: KeepPart {
    /// Every part kept for this artifact and upload.
    fn recall(
        &self,
        artifact: &ArtifactId,
        upload_id: &str,
    ) -> impl Future<Output = Result<Vec<FinishedPart>, ProgressError>> + Send;
}
