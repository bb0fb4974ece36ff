//! The plan by which the files of a stopped machine are reached: its own guest boots with the agent alone, and goes down when nobody
//! needs it any more (decision "Files of a stopped machine").

use contract::operation::OperationKind;
use contract::{ErrorCode, MachineId};

use crate::claim::Claim;
use crate::phase::Phase;
use crate::port::Boot;
use crate::record::{Machine, Shape};
use crate::step::Step;

use super::machine::{launch_of, run};
use super::{Change, Facts, Hold, Plan, Refusal, filling};

/// Memory of a guest that does nothing but serve its files.
const MEMORY_MIB: u64 = 256;

/// Boots the disks of a stopped machine for their files. The machine stays stopped, and is claimed until its guest is down again.
pub fn open(machine: &Machine, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    match &machine.phase {
        Phase::Stopped { .. } => {}
        phase => {
            return Err(Refusal::new(
                ErrorCode::WrongState,
                format!("machine {} is {}", machine.id, phase.public().as_str()),
            ));
        }
    }
    let memory_mib = machine.shape.memory_mib.min(MEMORY_MIB);
    facts.room_for(memory_mib, 0)?;
    let slot = facts.free_slot()?;
    let small = Machine { shape: Shape { vcpus: 1, memory_mib }, ..machine.clone() };
    let launch = launch_of(&small, facts);
    let deadlines = &facts.settings.deadlines;
    let paths = facts.disks_of(&small).into_iter().map(|disk| disk.path).collect();
    let mut prepare: Vec<Step> = machine.filling.iter().map(filling::waited).collect();
    prepare.push(Step::GiveTo { paths, owner: slot.uid });
    prepare.extend(run(&small, &launch, &slot, Boot::Files, facts));
    prepare.push(Step::AwaitAgent { launch: launch.clone(), deadline_ms: deadlines.start_ms });
    let finish = vec![
        Step::ServeFiles { launch: launch.clone() },
        Step::ShutDown {
            launch: launch.clone(),
            protocol: machine.guest_protocol,
            deadline_ms: deadlines.stop_ms,
        },
        Step::EndRun { launch },
        Step::DestroySlot { slot },
    ];
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::ChangeFiles,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare,
        commit: Change::FilesOpened { machine: machine.id.clone(), memory_mib },
        finish,
    })
}

/// Records that files of a guest were changed, for the idempotency key of the request: there is nothing left to be done.
pub fn changed(machine: &MachineId, answer: serde_json::Value, facts: &Facts<'_>) -> Plan {
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::ChangeFiles,
        resource_id: machine.to_string(),
        claims: vec![],
        hold: Hold::UntilCommit,
        prepare: vec![],
        commit: Change::FilesChanged { machine: machine.clone(), answer },
        finish: vec![],
    }
}
