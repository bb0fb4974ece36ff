//! The plan of a resize: disks grow while the machine runs where the VMM can, memory changes between two boots.

use contract::ErrorCode;
use contract::machine::ResizeMachineRequest;
use contract::operation::OperationKind;

use crate::claim::Claim;
use crate::phase::Phase;
use crate::record::{Machine, Shape};
use crate::step::Step;

use super::machine::{sizes_are_sane, system_volume};
use super::restart::{self, Permission, Restart, Way};
use super::{Change, Facts, Hold, Plan, Refusal, disk};

/// Gives a machine another size. `None` when it has that size already.
pub fn plan(
    machine: &Machine,
    request: &ResizeMachineRequest,
    facts: &Facts<'_>,
) -> Result<Option<Plan>, Refusal> {
    let memory_mib = request.memory_mib.unwrap_or(machine.shape.memory_mib);
    let storage_bytes = request.storage_bytes.unwrap_or(machine.storage_bytes);
    let shape = Shape { memory_mib, ..machine.shape };
    sizes_are_sane(shape, storage_bytes)?;
    if storage_bytes < machine.storage_bytes {
        let reason = format!("storage never shrinks: it has {} bytes", machine.storage_bytes);
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    let is_grown = storage_bytes > machine.storage_bytes;
    let is_remembered = memory_mib != machine.shape.memory_mib;
    if !is_grown && !is_remembered {
        return Ok(None);
    }
    // The memory of a machine at rest is promised when it starts.
    let has_run = machine.phase.run().is_some();
    let more_mib = memory_mib.saturating_sub(machine.shape.memory_mib);
    let more_mib = if has_run { more_mib } else { 0 };
    facts.room_for(more_mib, storage_bytes - machine.storage_bytes)?;

    let may_restart = Permission::of_request(request.restart);
    let is_online = matches!(machine.phase, Phase::Running { .. })
        && !is_remembered
        && machine.filling.is_none()
        && disk::grows_online(machine.vmm, facts);
    if is_online {
        return committed(machine, shape, storage_bytes, facts).map(Some);
    }
    match restart::way(machine, may_restart, "change its size")? {
        Way::AtRest => committed(machine, shape, storage_bytes, facts).map(Some),
        Way::Restarting(run) => {
            let changed = Machine { shape, storage_bytes, ..machine.clone() };
            let between = if is_grown {
                let path = facts.disks_of(machine).remove(0).path;
                vec![Step::GrowFile { path, size_bytes: storage_bytes }]
            } else {
                vec![]
            };
            let restart = Restart {
                kind: OperationKind::ResizeMachine,
                resource_id: machine.id.to_string(),
                volumes: vec![system_volume(&changed)],
                changed,
                claims: vec![],
                between,
                after: vec![],
            };
            restart::plan(machine, run, restart, facts).map(Some)
        }
    }
}

/// Recorded first, and made true after: whatever is cut is gone on with.
fn committed(
    machine: &Machine,
    shape: Shape,
    storage_bytes: u64,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let finish = if storage_bytes > machine.storage_bytes {
        disk::grow(machine, 0, storage_bytes, facts)?
    } else {
        vec![]
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::ResizeMachine,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::MachineResized {
            machine: machine.id.clone(),
            memory_mib: shape.memory_mib,
            storage_bytes,
        },
        finish,
    })
}
