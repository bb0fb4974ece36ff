//! How a VMM of the fake host starts: it takes only what is really there and its own, as a jailed one does.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8Path;
use engine::port::{Boot, Fault, GuestMemory, LaunchSpec, PortError, VmmHandle};
use engine::record::VmmKind;

use super::content::{Content, Part};
use super::disk::Inode;
use super::process::{Agent, GuestState, Process};
use super::world::State;

/// How long a guest takes from power-on to an agent that answers.
const BOOT: Duration = Duration::from_millis(50);

/// Starts the process that `spec` describes.
pub(super) fn start(state: &mut State, spec: &LaunchSpec) -> Result<VmmHandle, PortError> {
    let machine = &spec.launch.machine;
    let refuse = |what: &str| {
        Err(PortError::plain(Fault::Internal, format!("start the VMM of {machine}: {what}")))
    };
    if !state.slots.get(&spec.slot.index).is_some_and(|slot| slot.is_whole) {
        return refuse("its slot is not built");
    }
    for other in state.processes.values() {
        if other.spec.launch.machine == *machine {
            state.defects.insert(format!("P4: {machine} is launched while it runs"));
            break;
        }
        if other.spec.slot.uid == spec.slot.uid {
            state.defects.insert(format!("P10: {machine} shares a uid"));
            break;
        }
    }
    state.disk.file(&spec.kernel)?;
    if let Some(initrd) = &spec.initrd {
        state.disk.file(initrd)?;
    }
    let guest = guest_of(state, spec)?;
    let mut open_inodes = Vec::from_iter(open_memory(state, spec)?);
    for disk in &spec.disks {
        open_inodes.push(open(state, &disk.path, spec.slot.uid)?);
    }
    let handle = VmmHandle {
        pid: state.mint_pid(),
        start_time_ticks: u64::try_from(state.monotonic.as_millis()).unwrap_or(u64::MAX),
        boot_id: state.boot_id(),
    };
    let is_paused = matches!(spec.boot, Boot::Restore { .. });
    let process = Process {
        spec: spec.clone(),
        handle: handle.clone(),
        open_inodes,
        is_paused,
        memory_aside: None,
        guest,
    };
    state.processes.insert(handle.pid, process);
    Ok(handle)
}

fn guest_of(state: &mut State, spec: &LaunchSpec) -> Result<GuestState, PortError> {
    let fresh = GuestState {
        born: spec.launch.machine.to_string(),
        work: 0,
        is_frozen: false,
        thaws_at: None,
        answers_at: state.monotonic + BOOT,
        is_unconfirmed_clone: false,
        identity: None,
        ssh_host_key: None,
        commands: BTreeSet::new(),
        agent: Agent::default(),
        mounts: std::collections::BTreeSet::new(),
    };
    let Boot::Restore { vmstate, .. } = &spec.boot else { return Ok(fresh) };
    let (_, devices) = state.disk.file(vmstate)?;
    let Content::Guest { part: Part::Devices, born, work, is_frozen } = devices.content.clone()
    else {
        return Err(PortError::plain(Fault::Internal, format!("load {vmstate}: not device state")));
    };
    one_instant(state, spec, work)?;
    Ok(GuestState {
        born,
        work,
        is_frozen,
        answers_at: state.monotonic,
        is_unconfirmed_clone: is_frozen,
        ..fresh
    })
}

/// Memory, devices and disks of a restored guest belong to one instant (P5).
fn one_instant(state: &mut State, spec: &LaunchSpec, work: u64) -> Result<(), PortError> {
    let (GuestMemory::Own { path } | GuestMemory::Sealed { path }) = &spec.memory;
    for path in std::iter::once(path).chain(spec.disks.iter().map(|disk| &disk.path)) {
        let (_, inode) = state.disk.file(path)?;
        // A disk that the guest had not written yet has no work in it.
        if inode.content.work().is_some_and(|found| found != work) {
            state.defects.insert(format!("P5: {path} is of another instant than device state"));
        }
    }
    Ok(())
}

/// The inode to which guest RAM is written, where it is written to one at all.
fn open_memory(state: &mut State, spec: &LaunchSpec) -> Result<Option<u64>, PortError> {
    match (&spec.memory, &spec.boot) {
        (GuestMemory::Own { path } | GuestMemory::Sealed { path }, boot)
            if spec.launch.vmm == VmmKind::Firecracker =>
        {
            match boot {
                Boot::Cold | Boot::Files => Ok(None),
                // Mapped privately: what the guest writes reaches no file.
                Boot::Restore { .. } => state.disk.file(path).map(|_| None),
            }
        }
        (GuestMemory::Own { path }, Boot::Cold | Boot::Files) => {
            let inode = Inode {
                content: Content::Text("zeros".into()),
                size_bytes: spec.shape.memory_mib << 20,
                owner: spec.slot.uid,
                is_read_only: false,
                was_held_by_vmm: true,
            };
            state.disk.write(path, inode).map(Some)
        }
        (GuestMemory::Own { path }, Boot::Restore { .. }) => {
            open(state, path, spec.slot.uid).map(Some)
        }
        (GuestMemory::Sealed { path }, _) => state.disk.file(path).map(|_| None),
    }
}

/// Opens a file for writing, which only its owner may.
fn open(state: &mut State, path: &Utf8Path, uid: u32) -> Result<u64, PortError> {
    let (number, _) = state.disk.file(path)?;
    let inode = state.disk.file_mut(path)?;
    if inode.owner != uid || inode.is_read_only {
        return Err(PortError::plain(
            Fault::Internal,
            format!("open {path} as uid {uid}: permission denied"),
        ));
    }
    inode.was_held_by_vmm = true;
    Ok(number)
}
