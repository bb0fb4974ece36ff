//! How each step is taken back: an undo works whether its step did all, part or none of its work, and when called twice.

use std::time::Duration;

use contract::OperationId;

use crate::apply::reach;
use crate::host::Host;
use crate::port::{Launch, Observation, PortError};
use crate::step::Step;

/// Takes a step back. It removes only what carries the operation's id.
pub async fn undo(step: &Step, operation: &OperationId, host: &Host) -> Result<(), PortError> {
    match step {
        Step::MakeDir { dir } => host.files.remove_made_dir(dir, operation).await,
        Step::BuildSlot { slot } => host.network.destroy(slot).await,
        Step::Launch { spec } => {
            host.guest.forget(&spec.launch).await;
            host.vmm(spec.launch.vmm)?.end(&spec.launch).await
        }
        Step::KeepSecret { path, .. } => host.files.forget_secret(path).await,
        Step::Pause { launch, .. } => host.vmm(launch.vmm)?.resume(launch).await,
        Step::Freeze { launch, deadline_ms, .. } => {
            thaw(host, launch, Duration::from_millis(*deadline_ms)).await
        }
        Step::Capture { launch, .. } => host.vmm(launch.vmm)?.discard_capture(launch).await,
        Step::OpenRelay { relay, .. } => host.network.close_relay(relay.host_port).await,
        Step::RunCommand { launch, .. } => {
            let deadline = Duration::from_millis(host.settings.deadlines.agent_ms);
            let ended = host.guest.end_command(&reach(launch), operation, deadline).await;
            unless_gone(host, launch, ended).await
        }
        Step::StartFilling { request } => host.chunks.end_filling(&request.place).await,
        Step::Publish { to, .. } => host.chunks.unpublish(to, operation).await,
        // A guest may have seen its disk at that size: nothing shrinks.
        Step::GrowFile { .. } => Ok(()),
        // Inside a directory or a run of this operation, or without a trace on the host.
        Step::PlaceArtifact { .. }
        | Step::CloneFile { .. }
        | Step::GiveTo { .. }
        | Step::AwaitReady { .. }
        | Step::ForgetSecret { .. }
        | Step::Unmount { .. }
        | Step::AwaitAgent { .. }
        | Step::ServeFiles { .. }
        | Step::ShutDown { .. }
        | Step::EndRun { .. }
        | Step::DestroySlot { .. }
        | Step::CloseRelay { .. }
        | Step::ServeRelays { .. }
        | Step::FormatDisk { .. }
        | Step::ExtendDisk { .. }
        | Step::GrowGuest { .. }
        | Step::RemoveFile { .. }
        | Step::RemoveTree { .. }
        | Step::SyncDirty { .. }
        | Step::CollectMemory { .. }
        | Step::Resume { .. }
        | Step::ConnectAhead { .. }
        | Step::Thaw { .. }
        | Step::Seal { .. }
        | Step::CheckSealed { .. }
        | Step::SumArtifact { .. }
        | Step::Upload { .. }
        | Step::FetchManifest { .. }
        | Step::Download { .. }
        | Step::Cut { .. }
        | Step::SendForm { .. }
        | Step::FetchForm { .. }
        | Step::FetchPacks { .. }
        | Step::Assemble { .. }
        | Step::DropSet { .. }
        | Step::AwaitFilled { .. }
        // Nothing uses what is full: the next that needs it finds plain files.
        | Step::EndFilling { .. } => Ok(()),
    }
}

/// Thaws a guest, if its run is still there to be thawed.
async fn thaw(host: &Host, launch: &Launch, deadline: Duration) -> Result<(), PortError> {
    let thawed = host.guest.thaw(&reach(launch), deadline).await;
    unless_gone(host, launch, thawed).await
}

/// What cannot be said to a guest any more need not be said to it.
async fn unless_gone(
    host: &Host,
    launch: &Launch,
    outcome: Result<(), PortError>,
) -> Result<(), PortError> {
    let Err(error) = outcome else { return Ok(()) };
    let machine = host.journal.machine(&launch.machine).await?;
    let run = machine.as_ref().and_then(|machine| machine.phase.run());
    let Some(run) = run.filter(|run| run.launch == *launch) else { return Ok(()) };
    match host.vmm(launch.vmm)?.observe(launch, &run.handle).await? {
        Observation::Ended { .. } => Ok(()),
        Observation::Alive(_) => Err(error),
    }
}
