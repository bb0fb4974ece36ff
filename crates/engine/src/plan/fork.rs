//! Plans of forks: many machines from one pause, or from one snapshot.
//!
//! ```text
//!  fork of a machine:   the steps of a snapshot --commit: snapshot of the fork, names of the children
//!  fork of a snapshot:  nothing to prepare ------commit: names of the children
//!                                                   \--> a restore for each child, an operation of its own (P14)
//!  collect:             an ordinary delete, once no machine maps the snapshot
//! ```
//! The plan of a child is that of a [restore](super::restore): a fork has no way of its own to make a machine.

use contract::fork::{ForkRequest, MAXIMUM_CHILDREN};
use contract::operation::OperationKind;
use contract::restore::{LocalSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::{ErrorCode, MachineId, SnapshotId};

use crate::claim::Claim;
use crate::record::{Machine, Origin, Snapshot};

use super::snapshot::{Taking, take};
use super::{Change, Facts, Hold, Plan, Refusal};

/// How much of its source's name a child that the host names carries.
const STEM_BYTES: usize = 40;

/// Takes a snapshot of a running machine for its children, with one pause, and names them.
pub fn of_machine(
    machine: &Machine,
    request: &ForkRequest,
    origin: Origin,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let children = children(request, machine.id.as_str(), facts)?;
    let id = snapshot_of(facts)?;
    let Taking { prepare, snapshot } = take(machine, &id, request.max_pause_ms, origin, facts)?;
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::Fork,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id), Claim::snapshot(&id)],
        hold: Hold::UntilCommit,
        prepare,
        commit: Change::Forked {
            snapshot: id,
            taken: Some(Box::new(Snapshot { is_of_fork: true, ..snapshot })),
            children,
        },
        finish: vec![],
    })
}

/// Names the children of a snapshot. Nothing is to be prepared for them.
pub fn of_snapshot(
    snapshot: &Snapshot,
    request: &ForkRequest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &snapshot.origin.snapshot;
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::Fork,
        resource_id: id.to_string(),
        claims: vec![Claim::read_snapshot(id)],
        hold: Hold::UntilCommit,
        prepare: vec![],
        commit: Change::Forked {
            snapshot: id.clone(),
            taken: None,
            children: children(request, snapshot.origin.machine.as_str(), facts)?,
        },
        finish: vec![],
    })
}

/// What a child asks of a restore.
pub fn child(
    machine_id: MachineId,
    request: &ForkRequest,
    snapshot: &Snapshot,
) -> RestoreSnapshotRequest {
    let source =
        RestoreSource::Local(LocalSnapshot { snapshot_id: snapshot.origin.snapshot.clone() });
    let artifact = snapshot.origin.artifact.clone();
    RestoreSnapshotRequest {
        guest_config: request.guest_config.clone(),
        dense: !request.own_memory,
        ..RestoreSnapshotRequest::named(machine_id, artifact, source)
    }
}

/// The names of all children: those of the request, or names of ours.
fn children(
    request: &ForkRequest,
    source: &str,
    facts: &Facts<'_>,
) -> Result<Vec<MachineId>, Refusal> {
    let refuse = |reason: String| Err(Refusal::new(ErrorCode::Refused, reason));
    let named = &request.machine_ids;
    let count = match (request.count, named.len()) {
        (None, 0) => return refuse("count or machine_ids says how many machines to make".into()),
        (None, named) => named,
        (Some(count), named) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if named != 0 && named != count {
                return refuse(format!("count is {count}, and {named} machine_ids are given"));
            }
            count
        }
    };
    if count > MAXIMUM_CHILDREN {
        return refuse(format!("a fork makes at most {MAXIMUM_CHILDREN} machines"));
    }
    if let Some((_, twice)) = named.iter().enumerate().find(|(at, id)| named[..*at].contains(id)) {
        return refuse(format!("machine {twice} is named twice"));
    }
    if !named.is_empty() {
        return Ok(named.clone());
    }
    let stem: String = source.chars().take(STEM_BYTES).collect();
    let mark = facts.random & 0xffff_ffff;
    let name = |number: usize| {
        format!("{stem}-{mark:08x}-{number}")
            .parse()
            .map_err(|error| Refusal::new(ErrorCode::Internal, format!("name a child: {error}")))
    };
    (1..=count).map(name).collect()
}

/// The name of the snapshot that a fork of a machine takes: no other operation can have it.
fn snapshot_of(facts: &Facts<'_>) -> Result<SnapshotId, Refusal> {
    let name = format!("fork-{}", facts.operation);
    name.parse().map_err(|error| Refusal::new(ErrorCode::Internal, format!("{name}: {error}")))
}
