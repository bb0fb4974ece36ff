//! Sealed directories of the fake host.

use camino::Utf8Path;
use contract::OperationId;
use contract::artifact::ArtifactId;
use engine::layout::snapshot_file;
use engine::port::{CheckDepth, Fault, PortError, SealRequest};
use engine::record::SealedArtifact;

use super::content::{Content, ManifestDocument, SealedFile};
use super::disk::Inode;
use super::world::State;

/// What a manifest of the fake host takes on the disk.
const MANIFEST_BYTES: u64 = 4096;

/// Seals what was captured: every file is read-only from here on, and an inode that no VMM has ever held.
pub(super) fn seal(
    state: &mut State,
    request: &SealRequest,
    operation: &OperationId,
) -> Result<Vec<SealedArtifact>, PortError> {
    let mut files = Vec::new();
    for artifact in &request.artifacts {
        let path = request.dir.join(artifact.file_name());
        let (inode, file) = state.disk.file(&path)?;
        let (was_held, sha256, size_bytes) =
            (file.was_held_by_vmm, file.content.sha256(), file.size_bytes);
        if was_held {
            state.defects.insert(format!("P5: {path} is sealed and a VMM has had it open"));
        }
        let file = state.disk.file_mut(&path)?;
        file.is_read_only = true;
        file.owner = 0;
        files.push(SealedFile { artifact: *artifact, inode, size_bytes, sha256 });
    }
    let is_whole = one_instant(state, request)?;
    if !is_whole {
        state.defects.insert(format!("P5: {} holds more than one instant", request.dir));
    }
    let document = ManifestDocument {
        operation: operation.to_string(),
        origin: request.origin.clone(),
        files,
    };
    let sums = document.files.iter().map(|file| SealedArtifact {
        artifact: file.artifact,
        size_bytes: file.size_bytes,
        data_bytes: file.size_bytes,
        sha256: None,
    });
    let mut sealed: Vec<SealedArtifact> = sums.collect();
    let content = Content::Manifest(Box::new(document));
    sealed.push(SealedArtifact {
        artifact: ArtifactId::Manifest,
        size_bytes: MANIFEST_BYTES,
        data_bytes: MANIFEST_BYTES,
        sha256: Some(content.sha256()),
    });
    let inode = Inode {
        content,
        size_bytes: MANIFEST_BYTES,
        owner: 0,
        is_read_only: true,
        was_held_by_vmm: false,
    };
    state.disk.write(&request.dir.join(snapshot_file::MANIFEST), inode)?;
    Ok(sealed)
}

fn one_instant(state: &State, request: &SealRequest) -> Result<bool, PortError> {
    let mut works = Vec::new();
    for artifact in &request.artifacts {
        let (_, inode) = state.disk.file(&request.dir.join(artifact.file_name()))?;
        works.extend(inode.content.work());
    }
    Ok(works.windows(2).all(|pair| pair[0] == pair[1]))
}

/// The manifest in a directory.
pub(super) fn document(state: &State, dir: &Utf8Path) -> Result<ManifestDocument, PortError> {
    document_at(state, &dir.join(snapshot_file::MANIFEST))
}

/// The document of a chunked form in a directory.
pub(super) fn form_document(state: &State, dir: &Utf8Path) -> Result<ManifestDocument, PortError> {
    document_at(state, &dir.join(snapshot_file::CHUNKED))
}

fn document_at(state: &State, path: &Utf8Path) -> Result<ManifestDocument, PortError> {
    match &state.disk.file(path)?.1.content {
        Content::Manifest(document) => Ok(document.as_ref().clone()),
        Content::Text(_) | Content::Guest { .. } => {
            Err(PortError::plain(Fault::Refused, format!("read {path}: no manifest")))
        }
    }
}

/// Checks that the files are the ones that were sealed.
pub(super) fn check(state: &State, dir: &Utf8Path, depth: CheckDepth) -> Result<(), PortError> {
    for sealed in document(state, dir)?.files {
        let path = dir.join(sealed.artifact.file_name());
        let (number, inode) = state.disk.file(&path)?;
        let is_same = number == sealed.inode && inode.size_bytes == sealed.size_bytes;
        let is_good = match depth {
            CheckDepth::Identity => is_same,
            CheckDepth::Full => is_same && inode.content.sha256() == sealed.sha256,
        };
        if !is_good {
            return Err(PortError::plain(Fault::Refused, format!("check {path}: it has changed")));
        }
    }
    Ok(())
}
