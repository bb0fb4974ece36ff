//! Chunked forms over HTTP: make, send, look, collect.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use contract::chunked::{
    CheckChunksAnswer, ChunkSnapshotRequest, ChunkedForm, ChunkedFormAnswer, ChunkedManifest,
    ChunkedPack, CollectChunksAnswer, UploadChunkedAnswer, UploadChunkedRequest,
};
use contract::endpoint::Endpoint;
use contract::endpoint::table::{ChunkSnapshot, CollectChunks, UploadChunked};
use contract::{ErrorCode, PackId, SnapshotId};
use engine::plan::{self, Change};

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{At, Bare, Sent};
use super::error::Failure;
use super::mutate::Decision;
use super::transfer::found;
use crate::adapters::tenant_key;

pub(super) async fn cut(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    sent: Sent<ChunkSnapshotRequest>,
) -> Answered {
    let have: HashSet<PackId> = sent.body.have.iter().cloned().collect();
    let key_name = tenant_key(&sent.body.key)?.map(|key| key.name());
    let (snapshot, request) = (id.clone(), sent.body);
    let plan = move |facts: &plan::Facts<'_>| {
        let record = found(&snapshot, facts)?;
        let plan = plan::chunked::cut(record, &request, key_name.as_deref(), facts)?;
        Ok(plan.map_or(Decision::Nothing, Decision::from))
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    let form = api.form(&id, &have).await?;
    let answer = json(ChunkSnapshot::SUCCESS, ChunkedFormAnswer { form });
    Ok(of_operation(&outcome.operation, answer))
}

pub(super) async fn upload(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    sent: Sent<UploadChunkedRequest>,
) -> Answered {
    let request = sent.body;
    let plan = move |facts: &plan::Facts<'_>| {
        plan::chunked::send(found(&id, facts)?, &request, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    let Some(Change::FormSent { sent: Some(sent), .. }) = &outcome.change else {
        let failure = Failure::new(ErrorCode::Internal, "nothing was sent");
        return Err(failure.of(&outcome.operation));
    };
    let answer = UploadChunkedAnswer { packs: sent.packs, sent_bytes: sent.bytes };
    Ok(of_operation(&outcome.operation, json(UploadChunked::SUCCESS, answer)))
}

/// Reads every pack of every form that a record knows. Changes nothing.
pub(super) async fn check(State(api): State<Api>) -> Answered {
    let host = api.host();
    let layout = &host.settings.layout;
    let mut answer = CheckChunksAnswer::default();
    for snapshot in host.journal.snapshots().await? {
        let Some(form) = &snapshot.chunked else { continue };
        let id = &snapshot.origin.snapshot;
        let needs: Vec<_> = form.needs.iter().map(|set| layout.set(set)).collect();
        match host.chunks.check_form(&layout.set(&form.set), &needs).await {
            Ok(check) => {
                answer.packs += check.packs;
                answer.bytes += check.bytes;
                let problems = check.problems.iter();
                answer.problems.extend(problems.map(|it| format!("snapshot {id}: {it}")));
            }
            Err(error) => answer.problems.push(format!("snapshot {id}: {}", error.chain())),
        }
    }
    Ok(json(StatusCode::OK, answer))
}

pub(super) async fn collect(State(api): State<Api>, Bare(origin): Bare) -> Answered {
    let lying = api.host().chunks.sets_in(&api.host().settings.layout.sets()).await?;
    let before = lying.len();
    let plan = move |facts: &plan::Facts<'_>| {
        let plan = plan::chunked::collect(&lying, facts);
        Ok(plan.map_or(Decision::Nothing, Decision::from))
    };
    let outcome = api.mutate(origin, plan).await?;
    let left = api.host().chunks.sets_in(&api.host().settings.layout.sets()).await?.len();
    let removed_sets = before.saturating_sub(left) as u64;
    let answer = json(CollectChunks::SUCCESS, CollectChunksAnswer { removed_sets });
    Ok(of_operation(&outcome.operation, answer))
}

impl Api {
    /// The form of a snapshot, with what is missing where these packs are.
    async fn form(&self, id: &SnapshotId, have: &HashSet<PackId>) -> Result<ChunkedForm, Failure> {
        let record = self.snapshot(id).await?;
        let missing = || Failure::new(ErrorCode::Internal, "the chunked form is gone again");
        let form = record.chunked.ok_or_else(missing)?;
        let host = self.host();
        let packs = host.chunks.form_packs(&host.settings.layout.set(&form.set)).await?;
        let packs = packs.into_iter().map(|pack| ChunkedPack {
            missing: !have.contains(&pack.pack),
            pack_id: pack.pack,
            size_bytes: pack.size_bytes,
        });
        Ok(ChunkedForm {
            snapshot_id: id.clone(),
            manifest: ChunkedManifest {
                size_bytes: form.document_bytes,
                sha256_hex: form.document_sha256,
            },
            packs: packs.collect(),
            new_bytes: form.new_bytes,
            key_name: form.key_name,
        })
    }
}
