//! A machine that runs is booted anew with something about it changed: what no VMM does to a running guest.
//!
//! Whatever goes wrong before the commit leaves the machine stopped as it was, since its guest has been powered off by then.

use contract::ErrorCode;
use contract::operation::OperationKind;

use crate::claim::Claim;
use crate::phase::{Phase, Run};
use crate::port::Boot;
use crate::record::{Machine, Memory, Volume};
use crate::step::Step;

use super::machine::{await_ready, launch_of, release, run, started};
use super::{Facts, Hold, Plan, Refusal, filling};

/// What is to be different afterwards.
pub(super) struct Restart {
    /// What the caller asked for.
    pub(super) kind: OperationKind,
    /// The id of the resource it is about.
    pub(super) resource_id: String,
    /// The machine as it shall be.
    pub(super) changed: Machine,
    /// Volumes as they shall be.
    pub(super) volumes: Vec<Volume>,
    /// Claims beside that on the machine.
    pub(super) claims: Vec<Claim>,
    /// Steps with no VMM there.
    pub(super) between: Vec<Step>,
    /// Steps after the commit.
    pub(super) after: Vec<Step>,
}

/// The plan.
pub(super) fn plan(
    machine: &Machine,
    old: &Run,
    restart: Restart,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let Restart { kind, resource_id, mut changed, volumes, claims, between, after } = restart;
    changed.phase = Phase::Stopped { reason: None };
    changed.restored_from = None;
    changed.memory = Memory::Own;
    changed.filling = None;
    changed.identity = None;
    changed.started_at = Some(facts.now);
    let slot = facts.free_slot()?;
    let launch = launch_of(&changed, facts);
    let mut prepare = vec![Step::ShutDown {
        launch: old.launch.clone(),
        protocol: machine.guest_protocol,
        deadline_ms: facts.settings.deadlines.stop_ms,
    }];
    prepare.extend(release(Some(old)));
    prepare.extend(filling::settled(machine));
    prepare.extend(between);
    let paths = facts.disks_of(&changed).into_iter().map(|disk| disk.path).collect();
    prepare.push(Step::GiveTo { paths, owner: slot.uid });
    prepare.extend(run(&changed, &launch, &slot, Boot::Cold, facts));
    let finish = after.into_iter().chain(await_ready(&launch)).collect();
    Ok(Plan {
        operation: facts.operation.clone(),
        kind,
        resource_id,
        claims: std::iter::once(Claim::machine(&machine.id)).chain(claims).collect(),
        hold: Hold::UntilCommit,
        prepare,
        commit: started(changed, volumes, launch, slot, facts),
        finish,
    })
}

/// How a change that needs a machine without a VMM is made.
pub(super) enum Way<'a> {
    /// It has none.
    AtRest,
    /// It is restarted for it, as the caller allows.
    Restarting(&'a Run),
}

/// The way, or why there is none. `what` says what needs it.
pub(super) fn way<'a>(
    machine: &'a Machine,
    may_restart: Permission,
    what: &str,
) -> Result<Way<'a>, Refusal> {
    match (&machine.phase, may_restart) {
        (Phase::Stopped { .. } | Phase::Failed { kept: None, .. }, _) => Ok(Way::AtRest),
        (Phase::Running { run }, Permission::Restart) => Ok(Way::Restarting(run)),
        (Phase::Running { .. }, Permission::None) => Err(Refusal::new(
            ErrorCode::WrongState,
            format!(
                "machine {} runs, and its VMM cannot {what} meanwhile: stop it, or ask with `restart: true`",
                machine.id
            ),
        )),
        (phase @ (Phase::Starting { .. } | Phase::Failed { kept: Some(_), .. }), _) => {
            Err(Refusal::new(
                ErrorCode::WrongState,
                format!("machine {} is {}", machine.id, phase.public().as_str()),
            ))
        }
    }
}

/// Whether a machine may be restarted for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Restart,
    /// It must run on.
    None,
}

impl Permission {
    /// As requests say it.
    pub fn of_request(restart: bool) -> Self {
        if restart { Self::Restart } else { Self::None }
    }
}
