//! A disk of a running guest that has become larger. A run that has ended meanwhile needs nothing: its next boot sees the disk as
//! it is.

use std::time::Duration;

use crate::apply::reach;
use crate::host::Host;
use crate::port::{GrownDisk, Launch, Observation, PortError};

/// Tells the VMM.
pub(crate) async fn extend(host: &Host, launch: &Launch, disk: GrownDisk) -> Result<(), PortError> {
    let extended = host.vmm(launch.vmm)?.extend_disk(launch, disk).await;
    unless_ended(host, launch, extended).await
}

/// Asks the agent.
pub(crate) async fn grow_guest(
    host: &Host,
    launch: &Launch,
    disk: GrownDisk,
    deadline: Duration,
) -> Result<(), PortError> {
    let grown = host.guest.grow_file_systems(&reach(launch), disk, deadline).await;
    unless_ended(host, launch, grown).await
}

async fn unless_ended(
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
