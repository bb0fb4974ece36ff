//! What a daemon takes with it when no machine of its root is left: its table in the host's network, its control group.

use std::io;

use engine::host::Host;
use engine::port::PortError;
use engine::record::Machine;
use tracing::{debug, warn};
use vmm::cgroup::unified_mount;

use crate::adapters::{FillingGroups, filling_groups};
use crate::network::LinuxNetwork;
use crate::wiring::cgroup_name;

/// Leaves the host as it was, unless machines run on or operations are open. What cannot be removed is told in the log; the
/// next daemon of this root makes everything anew or adopts it.
pub async fn leave(host: &Host, network: &LinuxNetwork) {
    match is_deserted(host).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            warn!(error = error.chain(), "cannot tell whether machines run on");
            return;
        }
    }
    if let Err(error) = network.release_host().await {
        warn!(error = error.chain(), "the host's network is not as it was");
    }
    if let Err(error) = remove_cgroup(&cgroup_name(&host.settings.host_id)) {
        warn!(%error, "the control group of the machines stays");
    }
}

async fn is_deserted(host: &Host) -> Result<bool, PortError> {
    let machines = host.journal.machines().await?;
    let open = host.journal.open_operations().await?;
    let is_at_rest = |machine: &Machine| machine.phase.run().is_none() && machine.filling.is_none();
    Ok(open.is_empty() && machines.iter().all(is_at_rest))
}

/// Removes it, with that of fillings in it, when they are empty; the kernel refuses when they are not.
fn remove_cgroup(name: &str) -> io::Result<()> {
    let Some(mount) = unified_mount()? else { return Ok(()) };
    let FillingGroups { fillings, runs } = filling_groups(&mount, name);
    for group in [fillings, runs] {
        match std::fs::remove_dir(&group) {
            Ok(()) => debug!(%group, "removed a control group"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
