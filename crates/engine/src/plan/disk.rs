//! The disks of a machine: where they lie, and how they grow.

use camino::Utf8PathBuf;
use contract::machine::GuestProtocol;
use contract::{ErrorCode, VolumeId};

use crate::layout::{machine_file, volume_file};
use crate::phase::Phase;
use crate::port::{Disk, GrownDisk};
use crate::record::{Machine, VmmKind};
use crate::step::Step;

use super::{Facts, Refusal};

impl Facts<'_> {
    /// The disks of a machine in device order.
    pub(super) fn disks_of(&self, machine: &Machine) -> Vec<Disk> {
        let system = self.settings.layout.machine(&machine.id).join(machine_file::SYSTEM_DISK);
        let user = machine.user_volume_ids.iter().map(|id| self.disk_path(machine, id));
        std::iter::once(system).chain(user).map(|path| Disk { path }).collect()
    }

    /// Where a user volume of a machine lies: with the machine when it goes with it, under the number of its id, which stays
    /// the same when disks before it are detached.
    pub(super) fn disk_path(&self, machine: &Machine, id: &VolumeId) -> Utf8PathBuf {
        let layout = &self.settings.layout;
        let known = self.volumes.iter().find(|volume| volume.id == *id);
        let goes_with = known.is_none_or(|volume| volume.goes_with.as_ref() == Some(&machine.id));
        match id.user_number(&machine.id) {
            Some(number) if goes_with => {
                layout.machine(&machine.id).join(format!("user-{number}.img"))
            }
            _ => layout.volume(id).join(volume_file::DISK),
        }
    }
}

/// The steps, after the commit, that make a disk as large as its record says: its file, then the device, then the guest's file
/// system. Whatever is missed when the machine ends meanwhile, the next boot makes up for.
pub(super) fn grow(
    machine: &Machine,
    index: usize,
    size_bytes: u64,
    facts: &Facts<'_>,
) -> Result<Vec<Step>, Refusal> {
    let disks = facts.disks_of(machine);
    let Some(Disk { path }) = disks.get(index).cloned() else {
        return Err(Refusal::new(ErrorCode::Internal, "a machine lacks a disk of its own"));
    };
    let mut steps = vec![Step::GrowFile { path, size_bytes }];
    match &machine.phase {
        Phase::Stopped { .. } | Phase::Failed { kept: None, .. } => {}
        Phase::Running { run } if grows_online(machine.vmm, facts) => {
            let launch = run.launch.clone();
            let disk = GrownDisk { index, size_bytes };
            steps.push(Step::ExtendDisk { launch: launch.clone(), disk });
            if machine.guest_protocol == GuestProtocol::Agent {
                let deadline_ms = facts.settings.deadlines.agent_ms;
                steps.push(Step::GrowGuest { launch, disk, deadline_ms });
            }
        }
        Phase::Running { .. } => {
            let reason = format!(
                "machine {} runs, and its VMM cannot make a disk larger meanwhile: stop it first",
                machine.id
            );
            return Err(Refusal::new(ErrorCode::WrongState, reason));
        }
        phase @ (Phase::Starting { .. } | Phase::Failed { kept: Some(_), .. }) => {
            let reason = format!("machine {} is {}", machine.id, phase.public().as_str());
            return Err(Refusal::new(ErrorCode::WrongState, reason));
        }
    }
    Ok(steps)
}

/// Whether a VMM makes the disk of a running guest larger here.
pub(super) fn grows_online(vmm: VmmKind, facts: &Facts<'_>) -> bool {
    match vmm {
        VmmKind::Qemu => facts.settings.may_raise_limits,
        VmmKind::Firecracker => false,
    }
}
