//! Seeing to it that a running guest has mounted what is recorded: after a create, a start, a restore, and when it was lost.

use std::time::Duration;

use contract::MountId;
use contract::machine::GuestProtocol;
use tracing::{info, warn};

use crate::apply::reach;
use crate::host::Host;
use crate::phase::Phase;
use crate::plan::Change;
use crate::port::{MountOrder, MountReport, PortError, Reach};
use crate::record::{Machine, Mount, MountState};

/// For a mount that nobody recorded.
const UNMOUNT: Duration = Duration::from_secs(5);

/// Compares what is recorded with what the guest has, once. Whether something is under way, so that it is worth another look soon.
pub async fn tend(host: &Host, machine: &Machine) -> Result<bool, PortError> {
    let Phase::Running { run } = &machine.phase else { return Ok(false) };
    if machine.guest_protocol != GuestProtocol::Agent {
        return Ok(false);
    }
    let reach = reach(&run.launch);
    let deadline = Duration::from_millis(host.settings.deadlines.agent_ms);
    let reports = host.guest.mounts(&reach, deadline).await?;
    for report in &reports {
        if !machine.mounts.iter().any(|mount| mount.id == report.id) {
            warn!(machine = %machine.id, mount = %report.id, "taking away a mount that is not recorded");
            host.guest.unmount(&reach, &report.id, UNMOUNT).await?;
        }
    }
    let mut states: Vec<(MountId, MountState)> = Vec::new();
    for mount in &machine.mounts {
        let state = state_of(host, machine, mount, &reports, &reach).await?;
        if state != mount.state {
            info!(machine = %machine.id, mount = %mount.id, ?state, "a mount has another state");
            states.push((mount.id.clone(), state));
        }
    }
    let is_under_way = states.iter().any(|(_, state)| *state == MountState::Mounting)
        || machine.mounts.iter().any(|mount| mount.state == MountState::Mounting);
    if !states.is_empty() {
        let machine = machine.id.clone();
        let launch = run.launch.operation.clone();
        host.journal.apply(&Change::MountsSeen { machine, launch, states }).await?;
    }
    Ok(is_under_way)
}

/// What the guest has of a mount; it is told of one that it does not know.
async fn state_of(
    host: &Host,
    machine: &Machine,
    mount: &Mount,
    reports: &[MountReport],
    reach: &Reach,
) -> Result<MountState, PortError> {
    if let Some(report) = reports.iter().find(|report| report.id == mount.id) {
        return Ok(report.state.clone());
    }
    if let MountState::Failed { .. } = mount.state {
        return Ok(mount.state.clone());
    }
    let path = host.settings.layout.mount_secret(&machine.id, &mount.made_by);
    let secret = host.files.read_secret(&path).await?;
    let order = MountOrder { mount: mount.clone(), secret };
    let deadline = Duration::from_millis(host.settings.deadlines.agent_ms);
    match host.guest.mount(reach, &order, deadline).await {
        Ok(()) => Ok(MountState::Mounting),
        Err(error) => Ok(MountState::Failed { reason: error.chain() }),
    }
}
