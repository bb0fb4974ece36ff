//! Relays, compared with the records: opened again in a new life of the daemon, moved where somebody else listens, closed when
//! nothing owns them.

use std::collections::{BTreeSet, HashSet};

use tracing::{info, warn};

use crate::host::Host;
use crate::phase::{Phase, Run};
use crate::plan::{self, Capacity, Facts};
use crate::port::{OpenRelay, PortError};
use crate::record::{Machine, Operation, PublishedPort};
use crate::relay;
use crate::runner::Runner;
use crate::step::Step;

use super::Mint;

/// Opens what the records give running machines.
pub(super) async fn serve_all(runner: &Runner, mint: &dyn Mint) -> Result<(), PortError> {
    let host = runner.host();
    let published = host.journal.published_ports().await?;
    for machine in host.journal.machines().await? {
        let Phase::Running { run } = &machine.phase else { continue };
        let taken = relay::serve(host, &machine, run, &published).await;
        if !taken.is_empty() {
            move_away(runner, mint, &machine, run, &taken).await?;
        }
    }
    Ok(())
}

async fn move_away(
    runner: &Runner,
    mint: &dyn Mint,
    machine: &Machine,
    run: &Run,
    taken: &[u16],
) -> Result<(), PortError> {
    let host = runner.host();
    let _planning = runner.planning().await;
    let open = host.journal.open_operations().await?;
    let open: Vec<_> = open.into_iter().flatten().filter_map(Operation::reserving).collect();
    let listening: BTreeSet<u16> = host.network.listening_ports().await?;
    let machines = host.journal.machines().await?;
    let published = host.journal.published_ports().await?;
    let facts = Facts {
        settings: &host.settings,
        machines: &machines,
        snapshots: &[],
        volumes: &[],
        published_ports: &published,
        listening: &listening,
        open: &open,
        capacity: Capacity { memory_bytes: 0, disk_bytes: 0, disk_free_bytes: 0 },
        now: host.clock.now(),
        operation: mint.operation_id(),
        random: 0,
    };
    let plan = match plan::relay::move_away(machine, run, taken, &facts) {
        Ok(Some(plan)) => plan,
        Ok(None) => return Ok(()),
        Err(refusal) => {
            warn!(machine = %machine.id, %refusal, "its relays stay closed");
            return Ok(());
        }
    };
    let operation = Operation::new(plan, facts.now);
    match runner.start(operation).await {
        Ok(_ticket) => info!(machine = %machine.id, ?taken, "its relays get other ports"),
        Err(error) => info!(machine = %machine.id, %error, "its relays are not moved now"),
    }
    Ok(())
}

/// Closes relays that lead where no record says so: those of a run that has ended, or whose slot is another's by now.
pub(super) async fn close_orphans(
    host: &Host,
    found: Vec<OpenRelay>,
    machines: &[Machine],
    published: &[PublishedPort],
    open: &[Operation],
) -> Result<(), PortError> {
    let mut owned: HashSet<(u16, u32)> = HashSet::new();
    for machine in machines {
        if let Some(run) = machine.phase.run() {
            let relays = relay::relays(machine, published);
            owned.extend(relays.map(|relay| (relay.host_port, run.slot.index)));
        }
    }
    owned.extend(open.iter().flat_map(|operation| &operation.plan.prepare).filter_map(|step| {
        match step {
            Step::OpenRelay { slot, relay } => Some((relay.host_port, slot.index)),
            _ => None,
        }
    }));
    for relay in found {
        if !owned.contains(&(relay.host_port, relay.slot)) {
            warn!(port = relay.host_port, "closing a relay that nothing owns");
            host.network.close_relay(relay.host_port).await?;
        }
    }
    Ok(())
}
