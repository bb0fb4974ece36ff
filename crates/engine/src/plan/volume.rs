//! Plans of volumes: disks with a life of their own.
//!
//! A volume made through the API lies under `volumes/` and outlives every machine. One that a restore made lies with its
//! machine and goes with it, until it is detached: then it is moved out.

use contract::operation::OperationKind;
use contract::volume::{AttachVolumeRequest, CreateVolumeRequest};
use contract::{ErrorCode, MachineId, VolumeId};

use crate::claim::Claim;
use crate::layout::volume_file;
use crate::port::DiskSource;
use crate::record::{MAXIMUM_USER_DISKS, Machine, Volume};
use crate::step::Step;

use super::restart::{self, Permission, Restart, Way};
use super::{Change, Facts, Hold, Plan, Refusal, disk, filling};

/// From what ext4 makes sense on, to what a disk may be.
const SIZE_BYTES: std::ops::RangeInclusive<u64> = (16 << 20)..=(64 << 40);

/// Makes an empty volume with a file system on it.
pub fn create(request: &CreateVolumeRequest, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    let id = &request.volume_id;
    if is_reserved(id) {
        return Err(Refusal::new(
            ErrorCode::Refused,
            "ids that end in -system or -user-<number> are those of machines' own disks",
        ));
    }
    facts.volume_is_new(id)?;
    size_is_sane(request.size_bytes)?;
    facts.room_for(0, request.size_bytes)?;
    let dir = facts.settings.layout.volume(id);
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CreateVolume,
        resource_id: id.to_string(),
        claims: vec![Claim::volume(id)],
        hold: Hold::UntilCommit,
        prepare: vec![
            Step::MakeDir { dir: dir.clone() },
            Step::FormatDisk {
                to: dir.join(volume_file::DISK),
                size_bytes: request.size_bytes,
                label: id.label(),
            },
        ],
        commit: Change::VolumeAdded {
            volume: Volume {
                id: id.clone(),
                attached: None,
                goes_with: None,
                size_bytes: request.size_bytes,
                created_at: facts.now,
            },
        },
        finish: vec![],
    })
}

/// Deletes a volume that no machine has.
pub fn delete(volume: &Volume, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    if let Some(machine) = volume.attached.as_ref().or(volume.goes_with.as_ref()) {
        let reason = format!("volume {} is attached to machine {machine}", volume.id);
        return Err(Refusal::new(ErrorCode::InUse, reason));
    }
    let layout = &facts.settings.layout;
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::DeleteVolume,
        resource_id: volume.id.to_string(),
        claims: vec![Claim::volume(&volume.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::VolumeRemoved { volume: volume.id.clone() },
        finish: vec![Step::RemoveTree {
            dir: layout.volume(&volume.id),
            scratch: layout.scratch(&facts.operation),
        }],
    })
}

/// Makes a volume larger, while its machine runs where the VMM can; the guest's file system follows. The caller has seen to a
/// size that it has already.
pub fn grow(volume: &Volume, size_bytes: u64, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    let id = &volume.id;
    if volume.is_system() {
        let reason = format!("volume {id} grows with its machine: resize that");
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    if size_bytes < volume.size_bytes {
        let reason = format!("a volume never shrinks: {id} has {} bytes", volume.size_bytes);
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    size_is_sane(size_bytes)?;
    facts.room_for(0, size_bytes - volume.size_bytes)?;
    let mut claims = vec![Claim::volume(id)];
    let finish = match &volume.attached {
        None => {
            let path = facts.settings.layout.volume(id).join(volume_file::DISK);
            vec![Step::GrowFile { path, size_bytes }]
        }
        Some(machine) => {
            claims.push(Claim::machine(machine));
            let machine = facts.machine(machine)?;
            let position = machine.user_volume_ids.iter().position(|other| other == id);
            let index = position.map_or(0, |position| position + 1);
            disk::grow(machine, index, size_bytes, facts)?
        }
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::GrowVolume,
        resource_id: id.to_string(),
        claims,
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::VolumeGrown { volume: id.clone(), size_bytes },
        finish,
    })
}

/// Attaches a volume as the last disk of a machine.
pub fn attach(
    volume: &Volume,
    request: &AttachVolumeRequest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &volume.id;
    let machine = facts.machine(&request.machine_id)?;
    facts.free_volumes(std::slice::from_ref(id))?;
    if machine.user_volume_ids.len() >= MAXIMUM_USER_DISKS {
        let reason = format!("a machine has at most {MAXIMUM_USER_DISKS} user volumes");
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    let kind = OperationKind::AttachVolume;
    let claims = vec![Claim::volume(id)];
    let may_restart = Permission::of_request(request.restart);
    match restart::way(machine, may_restart, "take a disk")? {
        Way::AtRest => Ok(at_rest(
            kind,
            id,
            machine,
            vec![],
            Change::VolumeAttached { volume: id.clone(), machine: machine.id.clone() },
            vec![],
            facts,
        )),
        Way::Restarting(run) => {
            let mut changed = machine.clone();
            changed.user_volume_ids.push(id.clone());
            let attached = Volume { attached: Some(machine.id.clone()), ..volume.clone() };
            let restart = Restart {
                kind,
                resource_id: id.to_string(),
                changed,
                volumes: vec![attached],
                claims,
                between: vec![],
                after: vec![],
            };
            restart::plan(machine, run, restart, facts)
        }
    }
}

/// Takes a volume from its machine. One that went with the machine outlives it from now on.
pub fn detach(
    volume: &Volume,
    may_restart: Permission,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &volume.id;
    if volume.is_system() {
        let reason = format!("volume {id} is the system disk of its machine");
        return Err(Refusal::new(ErrorCode::Refused, reason));
    }
    let Some(machine) = &volume.attached else {
        let reason = format!("volume {id} is attached to no machine");
        return Err(Refusal::new(ErrorCode::WrongState, reason));
    };
    let machine = facts.machine(machine)?;
    let (moving, clearing) = moved_out(volume, machine, facts);
    let kind = OperationKind::DetachVolume;
    match restart::way(machine, may_restart, "give up a disk")? {
        Way::AtRest => {
            filling::is_over(machine, "give up a disk")?;
            let change = Change::VolumeDetached { volume: id.clone(), machine: machine.id.clone() };
            Ok(at_rest(kind, id, machine, moving, change, clearing, facts))
        }
        Way::Restarting(run) => {
            let mut changed = machine.clone();
            changed.user_volume_ids.retain(|other| other != id);
            let restart = Restart {
                kind,
                resource_id: id.to_string(),
                changed,
                volumes: vec![Volume { attached: None, goes_with: None, ..volume.clone() }],
                claims: vec![Claim::volume(id)],
                between: moving,
                after: clearing,
            };
            restart::plan(machine, run, restart, facts)
        }
    }
}

/// The steps that move a disk out of its machine's directory: a clone before the commit, and after it the old one goes.
fn moved_out(volume: &Volume, machine: &Machine, facts: &Facts<'_>) -> (Vec<Step>, Vec<Step>) {
    if volume.goes_with.is_none() {
        return (vec![], vec![]);
    }
    let from = facts.disk_path(machine, &volume.id);
    let dir = facts.settings.layout.volume(&volume.id);
    let clone = Step::CloneFile {
        source: DiskSource::File { path: from.clone() },
        to: dir.join(volume_file::DISK),
        size_bytes: None,
        owner: None,
    };
    (vec![Step::MakeDir { dir }, clone], vec![Step::RemoveFile { path: from }])
}

fn at_rest(
    kind: OperationKind,
    id: &VolumeId,
    machine: &Machine,
    prepare: Vec<Step>,
    commit: Change,
    finish: Vec<Step>,
    facts: &Facts<'_>,
) -> Plan {
    Plan {
        operation: facts.operation.clone(),
        kind,
        resource_id: id.to_string(),
        claims: vec![Claim::machine(&machine.id), Claim::volume(id)],
        hold: Hold::UntilClose,
        prepare,
        commit,
        finish,
    }
}

impl Facts<'_> {
    /// The volume with this id.
    pub fn volume(&self, id: &VolumeId) -> Result<&Volume, Refusal> {
        let found = self.volumes.iter().find(|volume| volume.id == *id);
        found.ok_or_else(|| Refusal::new(ErrorCode::NotFound, format!("no volume {id}")))
    }

    /// Refuses an id that a volume has, is about to have, or is still giving up.
    pub(super) fn volume_is_new(&self, id: &VolumeId) -> Result<(), Refusal> {
        let is_leaving = self
            .open
            .iter()
            .any(|plan| matches!(&plan.commit, Change::VolumeRemoved { volume } if volume == id));
        if is_leaving {
            return Err(Refusal::new(ErrorCode::Busy, format!("volume {id} is being deleted")));
        }
        let is_planned = self.open.iter().any(|plan| match &plan.commit {
            Change::VolumeAdded { volume } => volume.id == *id,
            Change::MachineStarted { new_volumes, .. } => {
                new_volumes.iter().any(|volume| volume.id == *id)
            }
            _ => false,
        });
        if is_planned || self.volumes.iter().any(|volume| volume.id == *id) {
            return Err(Refusal::new(ErrorCode::Exists, format!("volume {id} exists")));
        }
        Ok(())
    }

    /// Refuses a machine whose own disks would have the id of a volume that outlived another machine of its name.
    pub(super) fn own_volumes_are_new(
        &self,
        machine: &MachineId,
        own: &[VolumeId],
    ) -> Result<(), Refusal> {
        let system = VolumeId::system_of(machine);
        std::iter::once(&system).chain(own).try_for_each(|id| self.volume_is_new(id))
    }
}

/// Whether an id is one that machines give to disks of their own.
fn is_reserved(id: &VolumeId) -> bool {
    let text = id.as_str();
    let is_user = text.rsplit_once("-user-").is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    text.ends_with("-system") || is_user
}

fn size_is_sane(size_bytes: u64) -> Result<(), Refusal> {
    if SIZE_BYTES.contains(&size_bytes) {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::Refused, format!("size_bytes must be within {SIZE_BYTES:?}")))
}
