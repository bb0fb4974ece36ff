//! Serving relays: whatever the records give a machine is open while its guest is ready, in every life of the daemon.
//!
//! ```text
//!  records --ports of the machine--> open each; open already: fine
//!                                     | somebody else listens there
//!                                     v
//!                       reconcile gives it another port of its range
//! ```

use contract::MachineId;
use tracing::{debug, warn};

use crate::host::Host;
use crate::phase::{Phase, Run};
use crate::port::{Fault, Opened, PortError, Relay};
use crate::record::{Machine, PublishedPort, Slot};

/// Opens one relay; an error when somebody else listens there.
pub(crate) async fn open(host: &Host, slot: &Slot, relay: Relay) -> Result<(), PortError> {
    match host.network.open_relay(slot, relay).await? {
        Opened::Serves => Ok(()),
        Opened::Taken => Err(PortError::plain(
            Fault::Unavailable,
            format!("listen on port {}, which somebody else has taken", relay.host_port),
        )),
    }
}

/// Opens all relays of a machine, if it runs. One that cannot be opened is told in the log and tried again by reconcile.
pub(crate) async fn serve_machine(host: &Host, id: &MachineId) -> Result<(), PortError> {
    let Some(machine) = host.journal.machine(id).await? else { return Ok(()) };
    let Phase::Running { run } = &machine.phase else { return Ok(()) };
    let published = host.journal.published_ports().await?;
    serve(host, &machine, run, &published).await;
    Ok(())
}

/// Opens all relays of a run. Answers the ports of the host on which somebody else listens.
pub(crate) async fn serve(
    host: &Host,
    machine: &Machine,
    run: &Run,
    published: &[PublishedPort],
) -> Vec<u16> {
    let mut taken = Vec::new();
    for relay in relays(machine, published) {
        match host.network.open_relay(&run.slot, relay).await {
            Ok(Opened::Serves) => {}
            Ok(Opened::Taken) => taken.push(relay.host_port),
            Err(error) if error.fault == Fault::Absent => {
                debug!(machine = %machine.id, "it has stopped meanwhile: nothing to relay to");
            }
            Err(error) => {
                let port = relay.host_port;
                warn!(machine = %machine.id, port, error = error.chain(), "a relay is not open");
            }
        }
    }
    if !taken.is_empty() {
        warn!(machine = %machine.id, ?taken, "somebody else listens on ports of its relays");
    }
    taken
}

/// The relays of a machine, as the records have them. `published` may hold those of others.
pub(crate) fn relays(
    machine: &Machine,
    published: &[PublishedPort],
) -> impl Iterator<Item = Relay> {
    let own = machine
        .relays
        .iter()
        .map(|relay| Relay { host_port: relay.host_port, guest_port: relay.name.guest_port() });
    let id = machine.id.clone();
    let published = published
        .iter()
        .filter(move |port| port.machine == id)
        .map(|port| Relay { host_port: port.host_port, guest_port: port.port });
    own.chain(published)
}
