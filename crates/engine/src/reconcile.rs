//! What is recorded beside what is: at start, and on a timer. Each operation and each machine on its own.

use std::collections::HashSet;

use contract::OperationId;
use contract::operation::OperationState;
use tracing::{error, info, warn};

use crate::host::Host;
use crate::phase::{Phase, Run};
use crate::plan::{self, Capacity, Change, Facts};
use crate::port::{Observation, PortError};
use crate::record::{Machine, Operation};
use crate::runner::{Runner, Ticket};

pub(crate) mod fillings;
mod relays;

/// Where new operation ids and random bits come from; the engine has no randomness of its own.
pub trait Mint: Send + Sync {
    /// A new operation id.
    fn operation_id(&self) -> OperationId;
}

/// One pass. Errors of one machine or operation are logged and delay nobody else (P14).
///
/// Operations that hold a guest paused or frozen are settled first and waited for; the rest goes on by itself.
pub async fn reconcile(runner: &Runner, mint: &dyn Mint) {
    settle_open(runner).await;
    retire_ended(runner, mint).await;
    if let Err(error) = relays::serve_all(runner, mint).await {
        error!(error = error.chain(), "not every relay is open; tried again later");
    }
    if let Err(error) = sweep(runner).await {
        error!(error = error.chain(), "the sweep of what nothing owns failed; tried again later");
    }
    if let Err(error) = runner.host().journal.prune().await {
        warn!(error = error.chain(), "old operations were not forgotten");
    }
}

async fn settle_open(runner: &Runner) {
    let operations = match runner.host().journal.open_operations().await {
        Ok(operations) => operations,
        Err(error) => {
            error!(error = error.chain(), "open operations cannot be listed");
            return;
        }
    };
    let mut resuming = Vec::new();
    let mut others = Vec::new();
    for operation in operations {
        match operation {
            Ok(operation) if holds_a_guest(&operation) => resuming.push(operation),
            Ok(operation) => others.push(operation),
            Err(error) => error!(error = error.chain(), "an operation's row cannot be read"),
        }
    }
    let tasks: Vec<_> =
        resuming.into_iter().filter_map(|operation| runner.resettle(operation)).collect();
    for task in tasks {
        if let Err(error) = task.await {
            error!(%error, "a settling task ended badly");
        }
    }
    for operation in others {
        drop(runner.resettle(operation));
    }
}

fn holds_a_guest(operation: &Operation) -> bool {
    operation.state != OperationState::Committed
        && operation.plan.prepare.iter().any(crate::step::Step::is_resuming)
}

/// Records machines whose VMM ended by itself, and releases what they held.
async fn retire_ended(runner: &Runner, mint: &dyn Mint) {
    let machines = match runner.host().journal.machines().await {
        Ok(machines) => machines,
        Err(error) => {
            error!(error = error.chain(), "machines cannot be listed");
            return;
        }
    };
    for machine in machines {
        if let Err(error) = retire_if_ended(runner, mint, &machine).await {
            error!(machine = %machine.id, error = error.chain(), "cannot look at a machine");
        }
        let Some(filling) = &machine.filling else { continue };
        let nobody = std::collections::BTreeSet::new();
        let facts = bare_facts(runner.host(), mint, &nobody);
        if let Err(error) = fillings::look(runner, &machine, filling, &facts).await {
            error!(machine = %machine.id, error = error.chain(), "cannot look at a filling");
        }
    }
}

async fn retire_if_ended(
    runner: &Runner,
    mint: &dyn Mint,
    machine: &Machine,
) -> Result<(), PortError> {
    // A starting machine is watched by the operation that started it.
    let Phase::Running { run } = &machine.phase else { return Ok(()) };
    let host = runner.host();
    let Observation::Ended { is_clean, reason } =
        host.vmm(machine.vmm)?.observe(&run.launch, &run.handle).await?
    else {
        return Ok(());
    };
    info!(machine = %machine.id, reason, "its VMM has ended");
    let change = ended(host, machine, run, is_clean, reason).await?;
    let nobody = std::collections::BTreeSet::new();
    let facts = bare_facts(host, mint, &nobody);
    let plan = plan::machine::retire(machine, run, change, &facts);
    let Some(mut ticket) =
        start_retiring(runner, machine, run, Operation::new(plan, facts.now)).await?
    else {
        return Ok(());
    };
    if let Err(error) = ticket.closed().await {
        warn!(machine = %machine.id, reason = error.reason, "not retired yet");
    }
    Ok(())
}

/// Facts for plans that choose nothing.
fn bare_facts<'a>(
    host: &'a Host,
    mint: &dyn Mint,
    nobody: &'a std::collections::BTreeSet<u16>,
) -> Facts<'a> {
    Facts {
        settings: &host.settings,
        machines: &[],
        snapshots: &[],
        volumes: &[],
        published_ports: &[],
        listening: nobody,
        open: &[],
        capacity: Capacity { memory_bytes: 0, disk_bytes: 0, disk_free_bytes: 0 },
        now: host.clock.now(),
        operation: mint.operation_id(),
        random: 0,
    }
}

/// Begins to retire a machine that is still recorded as running this run. It may have been stopped, and started again, since it was looked
/// at: nothing is planned while this looks again, and nobody who works on the machine is through while its claim is held.
async fn start_retiring(
    runner: &Runner,
    machine: &Machine,
    run: &Run,
    operation: Operation,
) -> Result<Option<Ticket>, PortError> {
    let _planning = runner.planning().await;
    let held = match runner.hold(&operation.plan.claims) {
        Ok(held) => held,
        // A stop or delete under way sees the same.
        Err(error) => {
            info!(machine = %machine.id, %error, "not retired now");
            return Ok(None);
        }
    };
    let recorded = runner.host().journal.machine(&machine.id).await?;
    let is_as_seen = recorded.is_some_and(|recorded| {
        recorded.phase.run().is_some_and(|now| now.launch.operation == run.launch.operation)
    });
    if !is_as_seen {
        return Ok(None);
    }
    drop(held);
    match runner.start(operation).await {
        Ok(ticket) => Ok(Some(ticket)),
        Err(error) => {
            info!(machine = %machine.id, %error, "not retired now");
            Ok(None)
        }
    }
}

async fn ended(
    host: &Host,
    machine: &Machine,
    run: &Run,
    is_clean: bool,
    reason: String,
) -> Result<Change, PortError> {
    if is_clean {
        return Ok(Change::MachineStopped { machine: machine.id.clone(), reason: Some(reason) });
    }
    let reason = fillings::loss(host, machine).await?.unwrap_or(reason);
    let tail = host.vmm(machine.vmm)?.console_tail(&run.launch, 2048).await;
    let reason = match tail.trim_end() {
        "" => format!("the VMM ended: {reason}"),
        tail => format!("the VMM ended: {reason}\nlast console lines:\n{tail}"),
    };
    Ok(Change::MachineFailed {
        machine: machine.id.clone(),
        launch: run.launch.operation.clone(),
        at: host.clock.now(),
        reason,
        is_kept: false,
    })
}

/// Removes runs, slots, relays and scratch directories that no record and no open operation owns.
///
/// What exists is listed before what is owned is read, and nothing is planned meanwhile: so what is found without an owner
/// has none.
async fn sweep(runner: &Runner) -> Result<(), PortError> {
    let host = runner.host();
    let _planning = runner.planning().await;
    let mut launches = Vec::new();
    for (kind, vmm) in &host.vmms {
        launches.extend(vmm.carried_launches().await?.into_iter().map(|launch| (*kind, launch)));
    }
    let filled = host.chunks.carried_fillings().await?;
    let slots = host.network.carried_slots().await?;
    let scratch = host.files.carried_scratch().await?;
    let relays = host.network.open_relays().await?;

    let open: Vec<Operation> =
        host.journal.open_operations().await?.into_iter().collect::<Result<_, _>>()?;
    let machines = host.journal.machines().await?;
    let runs: Vec<&Run> = machines.iter().filter_map(|machine| machine.phase.run()).collect();
    let operations: HashSet<&OperationId> = open.iter().map(|operation| &operation.id).collect();
    let owned_launches: HashSet<&OperationId> = runs
        .iter()
        .map(|run| &run.launch.operation)
        .chain(open.iter().flat_map(|operation| operation.plan.launches()))
        .chain(operations.iter().copied())
        .collect();
    let owned_slots: HashSet<u32> = runs
        .iter()
        .map(|run| run.slot.index)
        .chain(open.iter().flat_map(|operation| operation.plan.slots()))
        .collect();

    for (kind, launch) in launches {
        if !owned_launches.contains(&launch) {
            warn!(%launch, "ending a run that nothing owns");
            host.vmm(kind)?.end_orphan(&launch).await?;
        }
    }
    for index in slots {
        if !owned_slots.contains(&index) {
            warn!(index, "destroying a slot that nothing owns");
            host.network.destroy_orphan(index).await?;
        }
    }
    fillings::end_orphans(host, filled, &machines, &open).await?;
    let published = host.journal.published_ports().await?;
    relays::close_orphans(host, relays, &machines, &published, &open).await?;
    for operation in scratch {
        if !operations.contains(&operation) {
            warn!(%operation, "removing scratch that nothing owns");
            host.files.remove_scratch(&operation).await?;
        }
    }
    Ok(())
}
