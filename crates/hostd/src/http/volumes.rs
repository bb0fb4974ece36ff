//! Volumes over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::volume::{
    AttachVolumeRequest, CreateVolumeRequest, DetachVolumeRequest, GrowVolumeRequest, VolumeAnswer,
    VolumesAnswer,
};
use contract::{ErrorCode, VolumeId};
use engine::plan::{self, Permission};
use engine::record::Volume;

use super::answer::{Answered, json, of_operation};
use super::api::Api;
use super::decode::{At, Bare, Sent};
use super::encode;
use super::error::Failure;
use super::mutate::{Decision, Outcome};

pub(super) async fn create(State(api): State<Api>, sent: Sent<CreateVolumeRequest>) -> Answered {
    let id = sent.body.volume_id.clone();
    let plan =
        move |facts: &plan::Facts<'_>| plan::volume::create(&sent.body, facts).map(Decision::from);
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_volume(StatusCode::CREATED, &id, &outcome).await
}

pub(super) async fn list(State(api): State<Api>) -> Answered {
    let volumes = api.host().journal.volumes().await?;
    let volumes = volumes.iter().map(encode::volume).collect();
    Ok(json(StatusCode::OK, VolumesAnswer { volumes }))
}

pub(super) async fn show(State(api): State<Api>, At(id): At<VolumeId>) -> Answered {
    let volume = encode::volume(&api.volume(&id).await?);
    Ok(json(StatusCode::OK, VolumeAnswer { volume }))
}

pub(super) async fn delete(
    State(api): State<Api>,
    At(id): At<VolumeId>,
    Bare(origin): Bare,
) -> Answered {
    let plan = move |facts: &plan::Facts<'_>| match facts.volume(&id) {
        Ok(volume) => plan::volume::delete(volume, facts).map(Decision::from),
        Err(refusal) if refusal.code == ErrorCode::NotFound => Ok(Decision::Nothing),
        Err(refusal) => Err(refusal),
    };
    let outcome = api.mutate(origin, plan).await?;
    Ok(of_operation(&outcome.operation, StatusCode::NO_CONTENT.into_response()))
}

pub(super) async fn grow(
    State(api): State<Api>,
    At(id): At<VolumeId>,
    sent: Sent<GrowVolumeRequest>,
) -> Answered {
    let (wanted, size_bytes) = (id.clone(), sent.body.size_bytes);
    api.leave_files_of(&id).await?;
    let plan = move |facts: &plan::Facts<'_>| {
        let volume = facts.volume(&wanted)?;
        if volume.size_bytes == size_bytes {
            return Ok(Decision::Nothing);
        }
        plan::volume::grow(volume, size_bytes, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_volume(StatusCode::OK, &id, &outcome).await
}

pub(super) async fn attach(
    State(api): State<Api>,
    At(id): At<VolumeId>,
    sent: Sent<AttachVolumeRequest>,
) -> Answered {
    let wanted = id.clone();
    api.leave_files(&sent.body.machine_id).await;
    let plan = move |facts: &plan::Facts<'_>| {
        plan::volume::attach(facts.volume(&wanted)?, &sent.body, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_volume(StatusCode::OK, &id, &outcome).await
}

pub(super) async fn detach(
    State(api): State<Api>,
    At(id): At<VolumeId>,
    sent: Sent<DetachVolumeRequest>,
) -> Answered {
    let wanted = id.clone();
    api.leave_files_of(&id).await?;
    let permission = Permission::of_request(sent.body.restart);
    let plan = move |facts: &plan::Facts<'_>| {
        plan::volume::detach(facts.volume(&wanted)?, permission, facts).map(Decision::from)
    };
    let outcome = api.mutate(sent.origin, plan).await?;
    api.answer_volume(StatusCode::OK, &id, &outcome).await
}

impl Api {
    /// A volume that has to be there.
    async fn volume(&self, id: &VolumeId) -> Result<Volume, Failure> {
        let volumes = self.host().journal.volumes().await?;
        let found = volumes.into_iter().find(|volume| volume.id == *id);
        found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("no volume {id}")))
    }

    /// Takes down a guest that is up for the files of the machine that has this volume, so that its disks can be changed.
    async fn leave_files_of(&self, id: &VolumeId) -> Result<(), Failure> {
        if let Some(machine) = self.volume(id).await?.attached {
            self.leave_files(&machine).await;
        }
        Ok(())
    }

    async fn answer_volume(
        &self,
        status: StatusCode,
        id: &VolumeId,
        outcome: &Outcome,
    ) -> Result<Response, Failure> {
        let volume = self.volume(id).await.map_err(|failure| failure.of(&outcome.operation))?;
        let answer = VolumeAnswer { volume: encode::volume(&volume) };
        Ok(of_operation(&outcome.operation, json(status, answer)))
    }
}
