//! The plan of an upload: which parts are missing, after the coverage of every artifact was checked.

use std::collections::HashSet;

use contract::ErrorCode;
use contract::operation::OperationKind;
use contract::upload::{ArtifactUpload, UploadSnapshotRequest};

use crate::claim::Claim;
use crate::port::{UploadJob, UploadPart};
use crate::record::{SealedArtifact, Snapshot};
use crate::step::Step;

use super::snapshot::is_whole;
use super::{Change, Facts, FinishedPart, Hold, Plan, Refusal};

/// Sends what is missing of a snapshot. `known` are the parts that lie in the store by what is remembered.
pub fn plan(
    snapshot: &Snapshot,
    request: &UploadSnapshotRequest,
    known: &[FinishedPart],
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &snapshot.origin.snapshot;
    is_whole(snapshot)?;
    if request.artifacts.is_empty() {
        return Err(Refusal::new(ErrorCode::Malformed, "no artifacts are named"));
    }
    let mut named = HashSet::new();
    let mut parts = Vec::new();
    let mut prepare = Vec::new();
    for artifact in &request.artifacts {
        let sealed = sealed_artifact(snapshot, artifact)?;
        if !named.insert(artifact.artifact_id) {
            return Err(malformed(artifact, "it is named twice"));
        }
        check_coverage(artifact, sealed.size_bytes)?;
        let wanted = finished_parts(artifact, known);
        let missing = missing_parts(artifact, &wanted);
        if !missing.is_empty() {
            let dir = facts.settings.layout.snapshot(id);
            prepare.push(Step::Upload {
                job: Box::new(UploadJob {
                    artifact: artifact.artifact_id,
                    upload_id: artifact.upload_id.clone(),
                    path: dir.join(artifact.artifact_id.file_name()),
                    parts: missing,
                }),
            });
        }
        parts.extend(wanted);
    }
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::UploadSnapshot,
        resource_id: id.to_string(),
        claims: vec![Claim::read_snapshot(id)],
        hold: Hold::UntilClose,
        prepare,
        commit: Change::UploadFinished { snapshot: id.clone(), parts },
        finish: vec![],
    })
}

fn sealed_artifact<'a>(
    snapshot: &'a Snapshot,
    artifact: &ArtifactUpload,
) -> Result<&'a SealedArtifact, Refusal> {
    snapshot.artifacts.iter().find(|sealed| sealed.artifact == artifact.artifact_id).ok_or_else(
        || {
            Refusal::new(
                ErrorCode::NotFound,
                format!("the snapshot has no artifact {}", artifact.artifact_id),
            )
        },
    )
}

/// Every byte once: parts in offset order, from 0 to the size, no gap, no overlap, no number twice, none empty (P12).
fn check_coverage(artifact: &ArtifactUpload, size_bytes: u64) -> Result<(), Refusal> {
    let mut numbers = HashSet::new();
    if artifact.parts.iter().any(|part| part.part_number == 0 || !numbers.insert(part.part_number))
    {
        return Err(malformed(artifact, "part numbers start at 1 and none comes twice"));
    }
    let mut parts: Vec<_> = artifact.parts.iter().collect();
    parts.sort_by_key(|part| part.part_number);
    let mut next = 0_u64;
    for part in parts {
        if part.offset_bytes != next {
            return Err(malformed(
                artifact,
                &format!(
                    "part {} begins at {} where {next} is next",
                    part.part_number, part.offset_bytes
                ),
            ));
        }
        if part.size_bytes == 0 && size_bytes != 0 {
            return Err(malformed(artifact, &format!("part {} is empty", part.part_number)));
        }
        next = next
            .checked_add(part.size_bytes)
            .ok_or_else(|| malformed(artifact, "sizes overflow"))?;
    }
    if next != size_bytes {
        return Err(malformed(artifact, &format!("the parts cover {next} of {size_bytes} bytes")));
    }
    Ok(())
}

fn finished_parts(artifact: &ArtifactUpload, known: &[FinishedPart]) -> Vec<FinishedPart> {
    let mut parts: Vec<FinishedPart> = artifact
        .parts
        .iter()
        .map(|part| {
            let wanted = FinishedPart {
                artifact: artifact.artifact_id,
                upload_id: artifact.upload_id.clone(),
                part_number: part.part_number,
                offset_bytes: part.offset_bytes,
                size_bytes: part.size_bytes,
                etag: None,
            };
            let is_same =
                |known: &&FinishedPart| FinishedPart { etag: None, ..(*known).clone() } == wanted;
            let etag = known.iter().find(is_same).and_then(|known| known.etag.clone());
            FinishedPart { etag, ..wanted }
        })
        .collect();
    parts.sort_by_key(|part| part.part_number);
    parts
}

/// The parts that no earlier try sent, in part order, with the URLs that the request gave for them.
fn missing_parts(artifact: &ArtifactUpload, wanted: &[FinishedPart]) -> Vec<UploadPart> {
    let mut requested: Vec<_> = artifact.parts.iter().collect();
    requested.sort_by_key(|part| part.part_number);
    let pairs = requested.into_iter().zip(wanted);
    pairs
        .filter(|(_, wanted)| wanted.etag.is_none())
        .map(|(part, _)| UploadPart {
            part_number: part.part_number,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
            url: part.upload_url.clone(),
        })
        .collect()
}

fn malformed(artifact: &ArtifactUpload, why: &str) -> Refusal {
    Refusal::new(ErrorCode::Refused, format!("artifact {}: {why}", artifact.artifact_id))
}
