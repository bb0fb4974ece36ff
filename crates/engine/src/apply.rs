//! What each step does: one call of a port, and what it found out.

use std::time::Duration;

use contract::OperationId;
use contract::machine::GuestProtocol;
use tracing::warn;

use crate::disk;
use crate::host::Host;
use crate::plan::Change;
use crate::port::{CheckDepth, Fault, Launch, PartSink, PortError, Reach, UploadJob, UploadPart};
use crate::ready;
use crate::record::{Finding, Moment, VmmKind};
use crate::relay;
use crate::step::Step;

/// What a step brought.
#[derive(Debug, Default)]
pub struct Effect {
    /// What it found out, for the operation's row.
    pub findings: Vec<Finding>,
    /// For finishing steps: a change of the records that belongs to it.
    pub change: Option<Change>,
}

impl Effect {
    fn found(finding: Finding) -> Self {
        Self { findings: vec![finding], change: None }
    }

    fn changes(change: Option<Change>) -> Self {
        Self { findings: vec![], change }
    }
}

/// Makes a step true.
pub async fn apply(step: &Step, operation: &OperationId, host: &Host) -> Result<Effect, PortError> {
    match step {
        Step::MakeDir { dir } => host.files.make_dir(dir, operation).await.map(|()| none()),
        Step::PlaceArtifact { source, to } => {
            let sum = host.files.place_artifact(source, to).await?;
            Ok(Effect::found(Finding::Placed { sum }))
        }
        Step::CloneFile { source, to, size_bytes, owner } => {
            host.files.clone_disk(source, to, *size_bytes, *owner).await.map(|()| none())
        }
        Step::GiveTo { paths, owner } => host.files.give_to(paths, *owner).await.map(|()| none()),
        Step::BuildSlot { slot } => host.network.build(slot).await.map(|()| none()),
        Step::Launch { spec } => {
            let handle = host.vmm(spec.launch.vmm)?.launch(spec).await?;
            Ok(Effect::found(Finding::Launched { handle }))
        }
        Step::AwaitReady { machine, launch } => {
            ready::await_ready(host, machine, launch).await.map(Effect::changes)
        }
        Step::AwaitAgent { launch, deadline_ms } => {
            ready::await_agent(host, launch, Duration::from_millis(*deadline_ms)).await?;
            Ok(none())
        }
        Step::ServeFiles { launch } => host.guest.serve_files(launch).await.map(|()| none()),
        Step::KeepSecret { path, secret } => {
            host.files.keep_secret(path, secret).await.map(|()| none())
        }
        Step::ForgetSecret { path } => host.files.forget_secret(path).await.map(|()| none()),
        Step::Unmount { launch, mount, deadline_ms } => {
            let deadline = Duration::from_millis(*deadline_ms);
            if let Err(error) = host.guest.unmount(&reach(launch), mount, deadline).await {
                // What the guest still has goes with its run, or when its mounts are looked at next.
                warn!(machine = %launch.machine, %mount, error = error.chain(), "not unmounted now");
            }
            Ok(none())
        }
        Step::ShutDown { launch, protocol, deadline_ms } => {
            shut_down(host, launch, *protocol, Duration::from_millis(*deadline_ms)).await
        }
        Step::EndRun { launch } => {
            host.guest.forget(launch).await;
            host.vmm(launch.vmm)?.end(launch).await.map(|()| none())
        }
        Step::DestroySlot { slot } => host.network.destroy(slot).await.map(|()| none()),
        Step::OpenRelay { slot, relay } => relay::open(host, slot, *relay).await.map(|()| none()),
        Step::CloseRelay { host_port } => {
            host.network.close_relay(*host_port).await.map(|()| none())
        }
        Step::ServeRelays { machine } => relay::serve_machine(host, machine).await.map(|()| none()),
        Step::FormatDisk { to, size_bytes, label } => {
            host.files.format_disk(to, *size_bytes, label).await.map(|()| none())
        }
        Step::GrowFile { path, size_bytes } => {
            host.files.grow_file(path, *size_bytes).await.map(|()| none())
        }
        Step::ExtendDisk { launch, disk } => {
            disk::extend(host, launch, *disk).await.map(|()| none())
        }
        Step::GrowGuest { launch, disk, deadline_ms } => {
            let deadline = Duration::from_millis(*deadline_ms);
            disk::grow_guest(host, launch, *disk, deadline).await.map(|()| none())
        }
        Step::RemoveFile { path } => host.files.remove_file(path).await.map(|()| none()),
        Step::RemoveTree { dir, scratch } => {
            host.files.remove_tree(dir, scratch).await.map(|()| none())
        }
        Step::SyncDirty { paths } => host.files.sync_dirty(paths).await.map(|()| none()),
        Step::Freeze { launch, self_thaw_ms, deadline_ms } => {
            let at_us = micros(host);
            let self_thaw = Duration::from_millis(*self_thaw_ms);
            let deadline = Duration::from_millis(*deadline_ms);
            host.guest.freeze(&reach(launch), self_thaw, deadline).await?;
            Ok(Effect::found(Finding::Moment { which: Moment::Freezing, at_us }))
        }
        Step::Pause { launch, .. } => {
            let stood_still = host.vmm(launch.vmm)?.pause(launch).await?;
            let at_us =
                micros(host).saturating_sub(stood_still.as_micros().try_into().unwrap_or(0));
            Ok(Effect::found(Finding::Moment { which: Moment::Pausing, at_us }))
        }
        Step::Capture { launch, into } => {
            host.vmm(launch.vmm)?.capture(launch, into).await.map(|()| none())
        }
        Step::CollectMemory { launch, into } => {
            host.vmm(launch.vmm)?.collect_memory(launch, into).await.map(|()| none())
        }
        Step::Resume { launch } => {
            host.vmm(launch.vmm)?.resume(launch).await?;
            let at_us = micros(host);
            if launch.vmm == VmmKind::Firecracker {
                // A snapshot resets vsock: what was connected before it leads nowhere.
                host.guest.forget(launch).await;
            }
            Ok(Effect::found(Finding::Moment { which: Moment::Resumed, at_us }))
        }
        Step::ConnectAhead { launch, deadline_ms } => {
            let deadline = Duration::from_millis(*deadline_ms);
            host.guest.connect_ahead(&reach(launch), deadline).await.map(|()| none())
        }
        Step::Thaw { launch, deadline_ms } => {
            host.guest.thaw(&reach(launch), Duration::from_millis(*deadline_ms)).await?;
            let at_us = micros(host);
            Ok(Effect::found(Finding::Moment { which: Moment::Thawed, at_us }))
        }
        Step::RunCommand { launch, job } => {
            let outcome = host.guest.run_command(&reach(launch), operation, job).await?;
            Ok(Effect::found(Finding::CommandEnded { outcome }))
        }
        Step::Seal { request } => {
            let artifacts = host.chunks.seal(request, operation).await?;
            Ok(Effect::found(Finding::Sealed { artifacts }))
        }
        Step::Publish { from, to } => host.chunks.publish(from, to).await.map(|()| none()),
        Step::CheckSealed { snapshot, dir, depth } => {
            check_sealed(host, snapshot, dir, *depth).await
        }
        Step::SumArtifact { snapshot, dir, artifact } => sum(host, snapshot, dir, *artifact).await,
        Step::Upload { job } => {
            let sink = Notes { host, operation };
            host.chunks.upload(job, &sink).await.map(|()| none())
        }
        Step::FetchManifest { url, sha256, dir } => {
            host.chunks.keep_manifest(url, sha256, dir).await.map(|()| none())
        }
        Step::Download { target, manifest_dir } => {
            host.chunks.download(target, manifest_dir).await.map(|()| none())
        }
        Step::Cut { job } => {
            let form = host.chunks.cut(job, operation).await?;
            Ok(Effect::found(Finding::Cut { form }))
        }
        Step::SendForm { job } => {
            let sent = host.chunks.send_form(job).await?;
            Ok(Effect::found(Finding::Sent { sent }))
        }
        Step::FetchForm { form, dir } => host.chunks.keep_form(form, dir).await.map(|()| none()),
        Step::FetchPacks { document, packs, to } => {
            host.chunks.fetch_packs(document, packs, to).await.map(|()| none())
        }
        Step::Assemble { target } => host.chunks.assemble(target).await.map(|()| none()),
        Step::DropSet { set, dir, scratch } => drop_set(host, set, dir, scratch).await,
        Step::StartFilling { request } => host.chunks.start_filling(request).await.map(|()| none()),
        Step::AwaitFilled { place, deadline_ms } => {
            let deadline = Duration::from_millis(*deadline_ms);
            host.chunks.await_filled(place, deadline).await.map(|()| none())
        }
        Step::EndFilling { place } => host.chunks.end_filling(place).await.map(|()| none()),
    }
}

fn none() -> Effect {
    Effect::default()
}

pub(crate) fn reach(launch: &Launch) -> Reach {
    Reach { launch: launch.clone() }
}

fn micros(host: &Host) -> u64 {
    u64::try_from(host.clock.monotonic().as_micros()).unwrap_or(u64::MAX)
}

/// Asks the guest, else presses the power button, and waits. What still runs after the deadline is ended by a later step.
async fn shut_down(
    host: &Host,
    launch: &Launch,
    protocol: GuestProtocol,
    deadline: Duration,
) -> Result<Effect, PortError> {
    let vmm = host.vmm(launch.vmm)?;
    let agent_deadline = deadline.min(Duration::from_millis(host.settings.deadlines.agent_ms));
    let is_asked = match protocol {
        GuestProtocol::Agent => host.guest.shut_down(&reach(launch), agent_deadline).await,
        GuestProtocol::Mmds | GuestProtocol::None => {
            Err(PortError::plain(Fault::Absent, "ask an agent that is not there"))
        }
    };
    if let Err(error) = is_asked {
        warn!(machine = %launch.machine, error = error.chain(), "the agent was not asked to power off; pressing the button");
        if let Err(error) = vmm.press_power_button(launch).await {
            warn!(machine = %launch.machine, error = error.chain(), "no power button either; the machine will be ended");
            return Ok(none());
        }
    }
    let has_ended = vmm.wait_ended(launch, deadline).await?;
    if !has_ended {
        warn!(machine = %launch.machine, "still running at the stop deadline; the machine will be ended");
    }
    Ok(none())
}

/// What is found changed is quarantined at once: nobody restores it again (P6).
async fn check_sealed(
    host: &Host,
    snapshot: &contract::SnapshotId,
    dir: &camino::Utf8Path,
    depth: CheckDepth,
) -> Result<Effect, PortError> {
    let Err(error) = host.chunks.check_sealed(dir, depth).await else { return Ok(none()) };
    if error.fault == Fault::Refused {
        let quarantined =
            Change::SnapshotQuarantined { snapshot: snapshot.clone(), reason: error.chain() };
        host.journal.apply(&quarantined).await?;
    }
    Err(error)
}

/// Looked at in the records of this moment: whoever cuts a snapshot claims those whose sets it refers to, so a set that no
/// record needs will not be needed.
async fn drop_set(
    host: &Host,
    set: &OperationId,
    dir: &camino::Utf8Path,
    scratch: &camino::Utf8Path,
) -> Result<Effect, PortError> {
    let snapshots = host.journal.snapshots().await?;
    let forms = snapshots.iter().filter_map(|snapshot| snapshot.chunked.as_ref());
    if forms.into_iter().any(|form| form.set == *set || form.needs.contains(set)) {
        return Ok(none());
    }
    host.files.remove_tree(dir, scratch).await.map(|()| none())
}

async fn sum(
    host: &Host,
    snapshot: &contract::SnapshotId,
    dir: &camino::Utf8Path,
    artifact: contract::artifact::ArtifactId,
) -> Result<Effect, PortError> {
    // The snapshot may have been deleted meanwhile: then there is nothing to sum.
    if host.journal.snapshot(snapshot).await?.is_none() {
        return Ok(none());
    }
    match host.chunks.sum(dir, artifact).await {
        Ok(sum) => {
            let snapshot = snapshot.clone();
            Ok(Effect::changes(Some(Change::SnapshotSummed { snapshot, artifact, sum })))
        }
        Err(error) if error.fault == Fault::Absent => {
            match host.journal.snapshot(snapshot).await? {
                None => Ok(none()),
                Some(_) => Ok(Effect::changes(Some(Change::SnapshotQuarantined {
                    snapshot: snapshot.clone(),
                    reason: error.chain(),
                }))),
            }
        }
        Err(error) => Err(error),
    }
}

/// Notes each finished part in the operation's row, so that a repeated request sends only what is missing.
struct Notes<'a> {
    host: &'a Host,
    operation: &'a OperationId,
}

#[async_trait::async_trait]
impl PartSink for Notes<'_> {
    async fn finished(
        &self,
        job: &UploadJob,
        part: &UploadPart,
        etag: &str,
    ) -> Result<(), PortError> {
        let finding = Finding::PartFinished {
            artifact: job.artifact,
            upload_id: job.upload_id.clone(),
            part_number: part.part_number,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
            etag: etag.to_owned(),
        };
        self.host.journal.note(self.operation, &finding).await
    }
}
