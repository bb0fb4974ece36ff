//! Snapshots on their way: upload to and restore from pre-signed URLs, and restore from here.

use std::time::Duration;

use axum::extract::State;
use contract::artifact::ArtifactId;
use contract::endpoint::Endpoint;
use contract::endpoint::table::{RestoreSnapshot, UploadSnapshot};
use contract::operation::WaitQuery;
use contract::restore::{DurableSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::upload::UploadSnapshotRequest;
use contract::{ErrorCode, SnapshotId};
use engine::plan::restore::{Source, form_url, signed_manifest};
use engine::plan::{self, Change, Refusal};
use engine::port::OriginOf;
use engine::record::{Manifest, Snapshot};

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{Asked, At, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::{Decision, Outcome};

/// Between two looks at sums that are being made.
const SUM_INTERVAL: Duration = Duration::from_millis(200);
/// How long an upload waits for them. SHA-256 makes 300 MB/s and more: enough for 128 GiB.
const SUM_DEADLINE: Duration = Duration::from_secs(600);

pub(super) async fn upload(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    sent: Sent<UploadSnapshotRequest>,
) -> Answered {
    let outcome = match api.repeated(&sent.origin).await? {
        Some(outcome) => outcome,
        None => send(&api, id, sent).await?,
    };
    let Some(Change::UploadFinished { parts, .. }) = &outcome.change else {
        return Err(
            Failure::new(ErrorCode::Internal, "no upload came of it").of(&outcome.operation)
        );
    };
    let answer = json(UploadSnapshot::SUCCESS, encode::uploaded(parts));
    Ok(of_operation(&outcome.operation, answer))
}

/// Sums come first: an object without its digest could not be restored.
async fn send(
    api: &Api,
    id: SnapshotId,
    sent: Sent<UploadSnapshotRequest>,
) -> Result<Outcome, Failure> {
    api.summed(&id, &sent.body).await?;
    let known = api.host().journal.finished_parts(&id).await?;
    let plan = move |facts: &plan::Facts<'_>| {
        let snapshot = found(&id, facts)?;
        plan::upload::plan(snapshot, &sent.body, &known, facts).map(Decision::from)
    };
    api.mutate(sent.origin, plan).await
}

pub(super) async fn restore(
    State(api): State<Api>,
    At(id): At<SnapshotId>,
    Asked(query): Asked<WaitQuery>,
    sent: Sent<RestoreSnapshotRequest>,
) -> Answered {
    let machine = sent.body.machine_id.clone();
    let outcome = match api.repeated(&sent.origin).await? {
        Some(outcome) => outcome,
        None => go_on(&api, id, sent).await?,
    };
    api.answer_start(RestoreSnapshot::SUCCESS, &machine, outcome, query).await
}

/// The manifest is read and verified before anything is planned.
pub(super) async fn go_on(
    api: &Api,
    id: SnapshotId,
    sent: Sent<RestoreSnapshotRequest>,
) -> Result<Outcome, Failure> {
    let request = sent.body;
    if request.source.snapshot_id().is_some_and(|named| *named != id) {
        let reason = "the body names another snapshot than the path";
        return Err(Failure::new(ErrorCode::Refused, reason));
    }
    let manifest = api.manifest(&id, &request.source).await?;
    let host = &manifest.origin.host;
    let Some(vmm) = api.host().vmms.get(&host.vmm) else {
        let reason = format!("the snapshot is one of {:?}, which this host does not run", host.vmm);
        return Err(Failure::new(ErrorCode::Incompatible, reason));
    };
    let here = vmm.origin(&host.shape, OriginOf::Restore(host)).await?;
    let plan = move |facts: &plan::Facts<'_>| {
        let source = match &request.source {
            RestoreSource::Local(_) => Source::Local(found(&id, facts)?),
            RestoreSource::Durable(durable) => Source::Durable(durable),
        };
        plan::restore::plan(&request, &source, &manifest, &here, facts).map(Decision::from)
    };
    api.mutate(sent.origin, plan).await
}

pub(super) fn found<'a>(id: &SnapshotId, facts: &plan::Facts<'a>) -> Result<&'a Snapshot, Refusal> {
    let found = facts.snapshots.iter().find(|record| record.origin.snapshot == *id);
    found.ok_or_else(|| Refusal::new(ErrorCode::NotFound, format!("no snapshot {id}")))
}

impl Api {
    /// The manifest of a snapshot, verified, before anything is planned.
    async fn manifest(&self, id: &SnapshotId, source: &RestoreSource) -> Result<Manifest, Failure> {
        let host = self.host();
        let manifest = match source {
            RestoreSource::Local(_) => {
                self.snapshot(id).await?;
                host.chunks.read_manifest(&host.settings.layout.snapshot(id)).await?
            }
            RestoreSource::Durable(DurableSnapshot { chunked: Some(chunked), .. }) => {
                host.chunks.fetch_form(&form_url(chunked)).await?
            }
            RestoreSource::Durable(durable) => {
                let (url, sha256) = signed_manifest(durable)?;
                host.chunks.fetch_manifest(url, sha256).await?
            }
        };
        if manifest.origin.snapshot != *id {
            let reason = format!("the manifest is that of snapshot {}", manifest.origin.snapshot);
            return Err(Failure::new(ErrorCode::Refused, reason));
        }
        Ok(manifest)
    }

    /// Waits until the sums of all artifacts that are to be sent are known.
    async fn summed(
        &self,
        id: &SnapshotId,
        request: &UploadSnapshotRequest,
    ) -> Result<(), Failure> {
        let named: Vec<ArtifactId> = request.artifacts.iter().map(|it| it.artifact_id).collect();
        let waiting = async {
            loop {
                let snapshot = self.snapshot(id).await?;
                let mut wanted =
                    snapshot.artifacts.iter().filter(|it| named.contains(&it.artifact));
                if wanted.all(|artifact| artifact.sha256.is_some()) {
                    return Ok(());
                }
                tokio::time::sleep(SUM_INTERVAL).await;
            }
        };
        tokio::time::timeout(SUM_DEADLINE, waiting).await.unwrap_or_else(|_elapsed| {
            Err(Failure::new(
                ErrorCode::Unavailable,
                "the sums of the snapshot are still being made",
            ))
        })
    }
}
