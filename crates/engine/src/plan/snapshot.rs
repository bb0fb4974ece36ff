//! Plans of a snapshot's life: create and delete; and how one is taken, which forks do too.

use contract::artifact::ArtifactId;
use contract::machine::GuestProtocol;
use contract::operation::OperationKind;
use contract::snapshot::CreateSnapshotRequest;
use contract::{ErrorCode, SnapshotId};

use crate::claim::Claim;
use crate::layout::{machine_file, snapshot_file};
use crate::phase::Phase;
use crate::port::{DiskSource, SealRequest};
use crate::record::{Machine, Memory, Origin, Snapshot, SnapshotOrigin, SnapshotState, VmmKind};
use crate::step::Step;

use super::{Change, Facts, Hold, Plan, Refusal, chunked, filling};

/// Takes a snapshot of a running machine. `origin` is what the VMM says a snapshot depends on here and now.
pub fn create(
    machine: &Machine,
    request: &CreateSnapshotRequest,
    origin: Origin,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &request.snapshot_id;
    let Taking { prepare, snapshot } = take(machine, id, request.max_pause_ms, origin, facts)?;
    let published = facts.settings.layout.snapshot(id);
    let finish = artifacts(machine)
        .into_iter()
        .map(|artifact| Step::SumArtifact {
            snapshot: id.clone(),
            dir: published.clone(),
            artifact,
        })
        .collect();
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CreateSnapshot,
        resource_id: id.to_string(),
        claims: vec![Claim::machine(&machine.id), Claim::snapshot(id)],
        hold: Hold::UntilCommit,
        prepare,
        commit: Change::SnapshotAdded { snapshot: Box::new(snapshot) },
        finish,
    })
}

/// A snapshot that is about to be taken.
pub(super) struct Taking {
    /// From the sync before the pause to the published files.
    pub(super) prepare: Vec<Step>,
    /// Its record, without what only the steps find out.
    pub(super) snapshot: Snapshot,
}

/// The steps of a snapshot, by whatever operation it is taken.
///
/// Between `Pause` and `Resume` only device state is written and files are cloned.
pub(super) fn take(
    machine: &Machine,
    id: &SnapshotId,
    limit_ms: Option<u64>,
    origin: Origin,
    facts: &Facts<'_>,
) -> Result<Taking, Refusal> {
    let Phase::Running { run } = &machine.phase else {
        return Err(Refusal::new(
            ErrorCode::WrongState,
            format!("machine {} is {}", machine.id, machine.phase.public().as_str()),
        ));
    };
    facts.snapshot_is_new(id)?;
    // What a VMM sets aside of guest RAM takes as much again, until it is collected.
    let aside_mib = match machine.vmm {
        VmmKind::Qemu => 0,
        VmmKind::Firecracker => machine.shape.memory_mib,
    };
    facts.room_for(aside_mib, machine.shape.memory_mib << 20)?;

    let layout = &facts.settings.layout;
    let deadlines = facts.settings.deadlines;
    let launch = &run.launch;
    let scratch = layout.scratch(&facts.operation);
    let (memory, disks) = (launch.dir.join(machine_file::MEMORY), facts.disks_of(machine));
    // What is filled is cloned where it lies, and synced through where the guest uses it.
    let filling = machine.filling.as_ref();
    let used = |path: camino::Utf8PathBuf| match filling {
        Some(filling) => filling.place.shown(&path),
        None => path,
    };
    let has_agent = machine.guest_protocol == GuestProtocol::Agent;
    let clone = |from: camino::Utf8PathBuf, name: &str| Step::CloneFile {
        source: DiskSource::File { path: from },
        to: scratch.join(name),
        size_bytes: None,
        owner: None,
    };

    let mut prepare = vec![Step::MakeDir { dir: scratch.clone() }];
    prepare.extend(filling.map(filling::waited));
    let mut dirty: Vec<_> = disks.iter().map(|disk| used(disk.path.clone())).collect();
    if memory_is_cloned(machine)? {
        dirty.push(used(memory.clone()));
    }
    prepare.push(Step::SyncDirty { paths: dirty.clone() });
    if has_agent {
        prepare.push(Step::Freeze {
            launch: launch.clone(),
            self_thaw_ms: deadlines.self_thaw_ms,
            deadline_ms: deadlines.agent_ms,
        });
        // What the guest wrote meanwhile would be written back within the pause, before a file can share its blocks.
        prepare.push(Step::SyncDirty { paths: dirty.clone() });
    }
    prepare.push(Step::Pause { launch: launch.clone(), limit_ms });
    let captured = scratch.join(snapshot_file::CAPTURED);
    prepare.push(Step::Capture { launch: launch.clone(), into: captured.clone() });
    if filling.is_some() {
        // What the guest wrote to shown memory reaches the file only so.
        prepare.push(Step::SyncDirty { paths: dirty });
    }
    if memory_is_cloned(machine)? {
        prepare.push(clone(memory, snapshot_file::MEMORY));
    }
    let names = machine.disk_names();
    prepare.extend(
        disks.iter().zip(&names).map(|(disk, name)| clone(disk.path.clone(), name.as_str())),
    );
    prepare.push(Step::Resume { launch: launch.clone() });
    if has_agent {
        prepare.push(Step::Thaw { launch: launch.clone(), deadline_ms: deadlines.agent_ms });
    }
    if !memory_is_cloned(machine)? {
        prepare.push(Step::CollectMemory {
            launch: launch.clone(),
            into: scratch.join(snapshot_file::MEMORY),
        });
    }
    // The VMM had the captured file open; what is sealed is an inode it never saw.
    prepare.push(clone(captured, snapshot_file::VMSTATE));

    let described = SnapshotOrigin {
        snapshot: id.clone(),
        machine: machine.id.clone(),
        created_at: facts.now,
        host: origin,
        guest_protocol: machine.guest_protocol,
        ready_ports: machine.ready_ports.clone(),
        egress: machine.egress,
        tuning: machine.tuning,
        artifact: machine.artifact.clone(),
        agent_version: machine.agent_version.clone(),
        parent: machine.restored_from.clone(),
    };
    prepare.extend([
        Step::Seal {
            request: Box::new(SealRequest {
                dir: scratch.clone(),
                artifacts: artifacts(machine),
                leftovers: vec![snapshot_file::CAPTURED.into()],
                origin: described.clone(),
            }),
        },
        Step::Publish { from: scratch, to: layout.snapshot(id) },
    ]);
    Ok(Taking { prepare, snapshot: Snapshot::taken(described, Some(run.slot.runtime_address)) })
}

/// The files of a snapshot of this machine, its manifest aside.
fn artifacts(machine: &Machine) -> Vec<ArtifactId> {
    let disks = (1..).take(machine.user_volume_ids.len()).map(ArtifactId::DiskUser);
    [ArtifactId::VmState, ArtifactId::Memory, ArtifactId::DiskSystem]
        .into_iter()
        .chain(disks)
        .collect()
}

/// Whether guest RAM is a file of the machine's own, which is cloned within the pause, or is collected from the VMM after it.
fn memory_is_cloned(machine: &Machine) -> Result<bool, Refusal> {
    match (machine.vmm, &machine.memory) {
        (VmmKind::Firecracker, Memory::Own | Memory::Sealed { .. }) => Ok(false),
        (VmmKind::Qemu, Memory::Own) => Ok(true),
        (VmmKind::Qemu, Memory::Sealed { .. }) => Err(Refusal::new(
            ErrorCode::Refused,
            "a machine restored dense cannot be snapshotted by this VMM",
        )),
    }
}

/// Refuses to use a snapshot that a check found changed (P6).
pub(super) fn is_whole(snapshot: &Snapshot) -> Result<(), Refusal> {
    match &snapshot.state {
        SnapshotState::Complete => Ok(()),
        SnapshotState::Quarantined { reason } => {
            let reason = format!("snapshot {}: {reason}", snapshot.origin.snapshot);
            Err(Refusal::new(ErrorCode::Quarantined, reason))
        }
    }
}

/// Deletes a snapshot that nothing uses. Machines that map its memory keep it in use.
pub fn delete(snapshot: &Snapshot, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    let id = &snapshot.origin.snapshot;
    let user = facts.machines.iter().find(|machine| {
        machine.phase.run().is_some()
            && matches!(&machine.memory, Memory::Sealed { snapshot } if snapshot == id)
    });
    if let Some(machine) = user {
        return Err(Refusal::new(
            ErrorCode::InUse,
            format!("machine {} runs from the memory of snapshot {id}", machine.id),
        ));
    }
    let layout = &facts.settings.layout;
    let (dir, scratch) = (layout.snapshot(id), layout.scratch(&facts.operation));
    let mut finish = vec![Step::RemoveTree { dir, scratch }];
    finish.extend(chunked::drop_sets(snapshot, facts));
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::DeleteSnapshot,
        resource_id: id.to_string(),
        claims: vec![Claim::snapshot(id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::SnapshotRemoved { snapshot: id.clone() },
        finish,
    })
}
