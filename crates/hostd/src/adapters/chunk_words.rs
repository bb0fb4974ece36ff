//! What the crate `chunks` says, in the engine's words, and the other way around.

use camino::Utf8Path;
use chunks::seal::VerifyError;
use chunks::{FileName, SecretUrl, Sha256Digest, TransferError, TransferErrorKind};
use contract::artifact::ArtifactId;
use contract::{PresignedUrl, Sha256Hex};
use engine::port::{Fault, PortError};
use engine::record::{Manifest, ManifestFile, SnapshotOrigin};

pub(super) fn summary(document: &chunks::Manifest<SnapshotOrigin>) -> Result<Manifest, PortError> {
    let files = document.files().iter().map(|entry| {
        let artifact = entry.id().as_str().parse().map_err(|error| PortError {
            action: format!("understand artifact {} of the manifest", entry.id()),
            fault: Fault::Refused,
            source: Some(Box::new(error)),
        })?;
        Ok(ManifestFile {
            artifact,
            size_bytes: entry.size_bytes(),
            data_bytes: entry.data_bytes(),
        })
    });
    Ok(Manifest {
        origin: document.origin().clone(),
        files: files.collect::<Result<_, PortError>>()?,
    })
}

pub(super) fn artifact_name(artifact: ArtifactId) -> Result<chunks::ArtifactId, PortError> {
    artifact
        .to_string()
        .parse()
        .map_err(|error| PortError::internal(format!("name artifact {artifact}"), Box::new(error)))
}

pub(super) fn file_name(artifact: ArtifactId) -> Result<FileName, PortError> {
    artifact
        .file_name()
        .parse()
        .map_err(|error| PortError::internal(format!("name artifact {artifact}"), Box::new(error)))
}

pub(super) fn hex_of(digest: Sha256Digest) -> Sha256Hex {
    Sha256Hex::from_bytes(digest.as_bytes())
}

pub(super) fn secret(url: &PresignedUrl) -> Result<SecretUrl, PortError> {
    SecretUrl::try_from(url.as_url().clone())
        .map_err(|error| PortError::internal("use a signed URL", error))
}

pub(super) fn verify_error(path: &Utf8Path, error: VerifyError) -> PortError {
    let fault = if error.is_tampering() { Fault::Refused } else { Fault::Internal };
    PortError { action: format!("verify {path}"), fault, source: Some(error.into()) }
}

/// Bytes that are not what was promised are refused; the rest is as the transfer says.
pub(super) fn transfer_error(action: String, error: TransferError) -> PortError {
    let fault = match (&error, error.kind()) {
        (TransferError::CorruptChunk { .. } | TransferError::CorruptArtifact { .. }, _)
        | (_, TransferErrorKind::Invalid) => Fault::Refused,
        (_, TransferErrorKind::Upstream) => Fault::Upstream,
        (_, TransferErrorKind::Deadline) => Fault::Deadline,
        (_, TransferErrorKind::NoRoom) => Fault::NoRoom,
        (_, TransferErrorKind::Local) => Fault::Internal,
    };
    PortError { action, fault, source: Some(error.into()) }
}
