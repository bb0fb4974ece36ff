//! A command in a guest as an operation: run once for its idempotency key, its outcome kept with it.
//!
//! Commands without a key are no operations: nothing of this host changes by them. It claims nothing, since a command keeps
//! nobody from anything.

use contract::ErrorCode;
use contract::machine::GuestProtocol;
use contract::operation::OperationKind;

use crate::phase::Phase;
use crate::port::CommandJob;
use crate::record::Machine;
use crate::step::Step;

use super::{Change, Facts, Hold, Plan, Refusal};

/// Runs a command in the guest of a running machine.
pub fn run(machine: &Machine, job: CommandJob, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    match machine.guest_protocol {
        GuestProtocol::Agent => {}
        GuestProtocol::Mmds | GuestProtocol::None => {
            let reason = format!("the guest of machine {} has no agent", machine.id);
            return Err(Refusal::new(ErrorCode::NoAgent, reason));
        }
    }
    let Phase::Running { run } = &machine.phase else {
        let reason = format!("machine {} is {}", machine.id, machine.phase.public().as_str());
        return Err(Refusal::new(ErrorCode::WrongState, reason));
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::Exec,
        resource_id: machine.id.to_string(),
        claims: vec![],
        hold: Hold::UntilCommit,
        prepare: vec![Step::RunCommand { launch: run.launch.clone(), job: Box::new(job) }],
        commit: Change::CommandRan { machine: machine.id.clone(), outcome: None },
        finish: vec![],
    })
}
