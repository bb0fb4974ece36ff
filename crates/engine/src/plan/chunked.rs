//! Plans of the chunked form: cut a snapshot, send what is missing, take away what nobody needs.

use std::collections::HashSet;

use contract::chunked::{ChunkSnapshotRequest, UploadChunkedRequest};
use contract::operation::OperationKind;
use contract::{ErrorCode, OperationId};

use crate::claim::Claim;
use crate::port::{CheckDepth, CutJob, KnownForm, PackPut, SendJob};
use crate::record::{ChunkedForm, Snapshot, SnapshotState};
use crate::step::Step;

use super::snapshot::is_whole;
use super::{Change, Facts, Hold, Plan, Refusal};

/// Most forms that are looked at for chunks that are known: their documents are all in memory at once.
const MOST_KNOWN: usize = 32;

/// Makes the chunked form of a snapshot; nothing is to be done where it has one that this key opens. `key_name` is the
/// name of the key of the request.
pub fn cut(
    snapshot: &Snapshot,
    request: &ChunkSnapshotRequest,
    key_name: Option<&str>,
    facts: &Facts<'_>,
) -> Result<Option<Plan>, Refusal> {
    let id = &snapshot.origin.snapshot;
    is_whole(snapshot)?;
    if let Some(form) = &snapshot.chunked {
        if form.key_name.as_deref() == key_name {
            return Ok(None);
        }
        let reason = format!("the chunked form of snapshot {id} was made with another key");
        return Err(Refusal::new(ErrorCode::WrongState, reason));
    }
    facts.room_for(0, snapshot.data_bytes())?;
    let layout = &facts.settings.layout;
    let scratch = layout.scratch(&facts.operation);
    let known = known(snapshot, key_name, facts);
    let mut claims = vec![Claim::chunked_form(id), Claim::read_snapshot(id)];
    claims.extend(known.iter().map(|form| Claim::read_snapshot(&form.snapshot)));
    let dir = layout.snapshot(id);
    let artifacts = snapshot.artifacts.iter().map(|sealed| sealed.artifact);
    let cut = CutJob {
        dir: dir.clone(),
        artifacts: artifacts.filter(|it| *it != contract::ArtifactId::Manifest).collect(),
        into: scratch.clone(),
        sets: layout.sets(),
        known,
        key: request.key.clone(),
    };
    Ok(Some(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::ChunkSnapshot,
        resource_id: id.to_string(),
        claims,
        hold: Hold::UntilClose,
        prepare: vec![
            Step::MakeDir { dir: scratch.clone() },
            Step::CheckSealed { snapshot: id.clone(), dir, depth: CheckDepth::Identity },
            Step::Cut { job: Box::new(cut) },
            Step::Publish { from: scratch, to: layout.set(&facts.operation) },
        ],
        commit: Change::SnapshotChunked { snapshot: id.clone(), form: None },
        finish: vec![],
    }))
}

/// The forms whose chunks need not be written again, of this key: the parent's first, then those of the same machine,
/// then the others, the youngest first.
fn known(snapshot: &Snapshot, key_name: Option<&str>, facts: &Facts<'_>) -> Vec<KnownForm> {
    let origin = &snapshot.origin;
    let nearness = |other: &Snapshot| {
        let is_of_same = other.origin.machine == origin.machine;
        let is_parent = origin.parent.as_ref() == Some(&other.origin.snapshot);
        let is_before = other.origin.created_at <= origin.created_at;
        // The last snapshot of the machine itself is nearer than the one that the machine was restored from.
        (is_of_same && is_before, is_parent, is_of_same, other.origin.created_at)
    };
    let mut others: Vec<(&Snapshot, &ChunkedForm)> = facts
        .snapshots
        .iter()
        .filter(|other| other.origin.snapshot != origin.snapshot)
        .filter(|other| other.state == SnapshotState::Complete)
        .filter_map(|other| Some((other, other.chunked.as_ref()?)))
        .filter(|(other, form)| form.key_name.as_deref() == key_name && !facts.is_leaving(other))
        .collect();
    others.sort_by_key(|(other, _)| std::cmp::Reverse(nearness(other)));
    let known = others.into_iter().take(MOST_KNOWN).map(|(other, form)| KnownForm {
        snapshot: other.origin.snapshot.clone(),
        set: form.set.clone(),
        needs: form.needs.clone(),
    });
    known.collect()
}

/// Sends packs of a form that is there, and its document.
pub fn send(
    snapshot: &Snapshot,
    request: &UploadChunkedRequest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &snapshot.origin.snapshot;
    is_whole(snapshot)?;
    let form = snapshot.chunked.as_ref().ok_or_else(|| {
        let reason = format!("snapshot {id} has no chunked form yet");
        Refusal::new(ErrorCode::WrongState, reason)
    })?;
    if request.packs.is_empty() && request.manifest_url.is_none() {
        return Err(Refusal::new(ErrorCode::Malformed, "neither packs nor the manifest are named"));
    }
    let mut named = HashSet::new();
    if let Some(twice) = request.packs.iter().find(|pack| !named.insert(&pack.pack_id)) {
        let reason = format!("pack {} is named twice", twice.pack_id);
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    let layout = &facts.settings.layout;
    let packs = request
        .packs
        .iter()
        .map(|pack| PackPut { pack: pack.pack_id.clone(), url: pack.upload_url.clone() });
    let job = SendJob {
        set: layout.set(&form.set),
        needs: form.needs.iter().map(|set| layout.set(set)).collect(),
        packs: packs.collect(),
        document: request.manifest_url.clone(),
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::UploadSnapshot,
        resource_id: id.to_string(),
        claims: vec![Claim::read_snapshot(id)],
        hold: Hold::UntilClose,
        prepare: vec![Step::SendForm { job: Box::new(job) }],
        commit: Change::FormSent { snapshot: id.clone(), sent: None },
        finish: vec![],
    })
}

/// Takes away the sets that no snapshot needs, of those that lie here. One that an operation is about to publish or has
/// just published is left alone.
pub fn collect(lying: &[OperationId], facts: &Facts<'_>) -> Option<Plan> {
    let needed: HashSet<&OperationId> = facts
        .snapshots
        .iter()
        .filter_map(|snapshot| snapshot.chunked.as_ref())
        .flat_map(ChunkedForm::sets)
        .chain(facts.open.iter().map(|plan| &plan.operation))
        .collect();
    let idle = lying.iter().filter(|set| !needed.contains(set));
    let finish: Vec<Step> = idle.map(|set| drop_set(set, facts)).collect();
    (!finish.is_empty()).then(|| Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CollectChunks,
        resource_id: facts.operation.to_string(),
        claims: vec![],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::ChunksCollected,
        finish,
    })
}

/// For the deletion of a snapshot: the sets that it needed, each taken away unless another snapshot needs it then.
pub(super) fn drop_sets(snapshot: &Snapshot, facts: &Facts<'_>) -> Vec<Step> {
    let sets = snapshot.chunked.iter().flat_map(ChunkedForm::sets);
    sets.map(|set| drop_set(set, facts)).collect()
}

fn drop_set(set: &OperationId, facts: &Facts<'_>) -> Step {
    let layout = &facts.settings.layout;
    let (dir, scratch) = (layout.set(set), layout.scratch(&facts.operation));
    Step::DropSet { set: set.clone(), dir, scratch }
}
