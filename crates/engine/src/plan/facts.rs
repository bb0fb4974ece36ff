//! What planning knows of the moment: settings, records, what other operations have reserved, and how much room there is.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use contract::{ErrorCode, MachineId, OperationId, SnapshotId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::record::{
    AddressBlock, MAXIMUM_USER_DISKS, Machine, Memory, PortRange, PublishedPort, Slot, Snapshot,
    VmmKind, Volume,
};

use super::{Change, Plan, Refusal};

/// Nothing new is begun with less free than this: records, logs and device state need room whatever is promised.
const FREE_FLOOR_BYTES: u64 = 128 << 20;

/// What a machine gets when its request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// vCPUs.
    pub vcpus: u32,
    /// RAM in MiB.
    pub memory_mib: u64,
    /// System disk in bytes; a larger root image is never cut.
    pub storage_bytes: u64,
}

/// How many times what is there may be promised. 1.0: nothing is promised twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overcommit {
    /// For RAM.
    pub memory: f64,
    /// For disk bytes.
    pub disk: f64,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// From launch to ready.
    pub start_ms: u64,
    /// From asking a guest to power off to the kill.
    pub stop_ms: u64,
    /// One request to the agent.
    pub agent_ms: u64,
    /// A frozen source thaws by itself after this.
    pub self_thaw_ms: u64,
}

/// From which ports of the host relays take theirs. They do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayRanges {
    /// To guests' port 2222.
    pub ssh: PortRange,
    /// To guests' port 6080.
    pub vnc: PortRange,
    /// To guests' port 49983.
    pub exec: PortRange,
    /// To ports that are published.
    pub published: PortRange,
}

/// What does not change while the daemon runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Paths.
    pub layout: Layout,
    /// Eight hex digits, minted once for this root.
    pub host_id: String,
    /// Addresses of slots.
    pub addresses: AddressBlock,
    /// The first uid of slots; slot `n` uses this plus `n`.
    pub first_uid: u32,
    /// Ports of relays.
    pub relays: RelayRanges,
    /// The VMM of new machines.
    pub vmm: VmmKind,
    /// Sizes of machines that do not say.
    pub defaults: Defaults,
    /// How much may be promised.
    pub overcommit: Overcommit,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Directories beneath which `file` URLs are allowed.
    pub image_dirs: Vec<Utf8PathBuf>,
    /// Keys of certificate authorities that every guest trusts for logins.
    pub login_ca_public_keys: Vec<contract::SshPublicKey>,
    /// Whether what a failed start made is kept for a look.
    pub keep_failed: bool,
    /// Whether the daemon may raise the limits of a VMM that runs, without which no disk of it becomes larger.
    pub may_raise_limits: bool,
}

/// What is there to be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// RAM of the host.
    pub memory_bytes: u64,
    /// The file system of the root: its size.
    pub disk_bytes: u64,
    /// What is free on it now.
    pub disk_free_bytes: u64,
}

/// The moment.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Settings.
    pub settings: &'a Settings,
    /// All machines.
    pub machines: &'a [Machine],
    /// All snapshots.
    pub snapshots: &'a [Snapshot],
    /// All volumes.
    pub volumes: &'a [Volume],
    /// All published ports.
    pub published_ports: &'a [PublishedPort],
    /// Ports of the host on which anybody listens, this daemon too.
    pub listening: &'a BTreeSet<u16>,
    /// Plans of operations that are not closed: what they name is taken.
    pub open: &'a [Plan],
    /// Room.
    pub capacity: Capacity,
    /// Now.
    pub now: Timestamp,
    /// The id of the operation that is planned.
    pub operation: OperationId,
    /// Random bits for names that guests see.
    pub random: u128,
}

impl Facts<'_> {
    /// The machine with this id.
    pub fn machine(&self, id: &MachineId) -> Result<&Machine, Refusal> {
        self.machines
            .iter()
            .find(|machine| machine.id == *id)
            .ok_or_else(|| Refusal::new(ErrorCode::NotFound, format!("no machine {id}")))
    }

    /// Refuses an id that a machine has or is about to have.
    pub fn machine_is_new(&self, id: &MachineId) -> Result<(), Refusal> {
        let is_leaving = self.open.iter().any(
            |plan| matches!(&plan.commit, Change::MachineRemoved { machine } if machine == id),
        );
        if is_leaving {
            return Err(Refusal::new(ErrorCode::Busy, format!("machine {id} is being deleted")));
        }
        let is_planned = self.open.iter().any(|plan| {
            matches!(&plan.commit, Change::MachineStarted { machine, .. } if machine.id == *id)
        });
        if is_planned || self.machines.iter().any(|machine| machine.id == *id) {
            return Err(Refusal::new(ErrorCode::Exists, format!("machine {id} exists")));
        }
        Ok(())
    }

    /// Refuses an id that a snapshot has, is about to have, or is still giving up.
    pub fn snapshot_is_new(&self, id: &SnapshotId) -> Result<(), Refusal> {
        let is_leaving = self.open.iter().any(
            |plan| matches!(&plan.commit, Change::SnapshotRemoved { snapshot } if snapshot == id),
        );
        if is_leaving {
            return Err(Refusal::new(ErrorCode::Busy, format!("snapshot {id} is being deleted")));
        }
        let is_planned = self.open.iter().any(|plan| {
            plan.commit.added_snapshot().is_some_and(|added| added.origin.snapshot == *id)
        });
        if is_planned || self.snapshots.iter().any(|other| other.origin.snapshot == *id) {
            return Err(Refusal::new(ErrorCode::Exists, format!("snapshot {id} exists")));
        }
        Ok(())
    }

    /// Whether a snapshot is being deleted.
    pub fn is_leaving(&self, snapshot: &Snapshot) -> bool {
        let id = &snapshot.origin.snapshot;
        self.open.iter().any(
            |plan| matches!(&plan.commit, Change::SnapshotRemoved { snapshot } if snapshot == id),
        )
    }

    /// The free slot with the lowest number; 429 when all are taken.
    pub fn free_slot(&self) -> Result<Slot, Refusal> {
        self.free_slots().next().ok_or_else(|| {
            Refusal::new(ErrorCode::TooManyRequests, "every address of the block is in use")
        })
    }

    /// All free slots, in the order in which plans take them.
    pub fn free_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let settings = self.settings;
        let taken: std::collections::HashSet<u32> = self.taken_slots().collect();
        (0..settings.addresses.slots()).filter(move |index| !taken.contains(index)).map(|index| {
            Slot::new(&settings.host_id, settings.addresses, settings.first_uid, index)
        })
    }

    fn taken_slots(&self) -> impl Iterator<Item = u32> + '_ {
        let running =
            self.machines.iter().filter_map(|machine| Some(machine.phase.run()?.slot.index));
        // A run that is being released still carries its slot: its plan names it.
        let planned = self.open.iter().flat_map(Plan::slots);
        running.chain(planned)
    }

    /// Refuses what does not fit beside what is promised already (P13).
    pub fn room_for(&self, memory_mib: u64, disk_bytes: u64) -> Result<(), Refusal> {
        let memory = memory_mib.saturating_mul(1 << 20).saturating_add(self.promised_memory());
        let limit = scaled(self.capacity.memory_bytes, self.settings.overcommit.memory);
        if memory > limit {
            return Err(Refusal::new(
                ErrorCode::NoRoom,
                format!("{memory_mib} MiB of memory do not fit: {memory} of {limit} bytes"),
            ));
        }
        if self.capacity.disk_free_bytes < FREE_FLOOR_BYTES {
            return Err(Refusal::new(
                ErrorCode::NoRoom,
                format!("only {} bytes of disk are free", self.capacity.disk_free_bytes),
            ));
        }
        let disk = disk_bytes.saturating_add(self.promised_disk());
        let limit = scaled(self.capacity.disk_bytes, self.settings.overcommit.disk);
        if disk > limit {
            return Err(Refusal::new(
                ErrorCode::NoRoom,
                format!("{disk_bytes} bytes of disk do not fit: {disk} of {limit} bytes"),
            ));
        }
        Ok(())
    }

    fn promised_memory(&self) -> u64 {
        let own = self.taking_memory().map(|machine| match machine.memory {
            Memory::Own => machine.shape.memory_mib,
            Memory::Sealed { .. } => clone_floor_mib(machine.shape.memory_mib),
        });
        let aside = self.open.iter().filter_map(|plan| {
            let host = &plan.commit.added_snapshot()?.origin.host;
            (host.vmm == VmmKind::Firecracker).then_some(host.shape.memory_mib)
        });
        let for_files = self.open.iter().filter_map(|plan| match &plan.commit {
            Change::FilesOpened { memory_mib, .. } => Some(*memory_mib),
            _ => None,
        });
        own.chain(self.shared_memory().into_values())
            .chain(aside)
            .chain(for_files)
            .fold(0, |sum, mib| sum.saturating_add(mib.saturating_mul(1 << 20)))
    }

    /// What a machine with this memory takes, in MiB, beside all that is promised: a clone takes what it shares with other clones once,
    /// and a floor of its own.
    pub fn memory_of(&self, memory: &Memory, memory_mib: u64) -> u64 {
        match memory {
            Memory::Own => memory_mib,
            Memory::Sealed { snapshot } if self.shared_memory().contains_key(snapshot) => {
                clone_floor_mib(memory_mib)
            }
            Memory::Sealed { .. } => memory_mib.saturating_add(clone_floor_mib(memory_mib)),
        }
    }

    /// Sealed memory that clones share, in MiB by snapshot.
    fn shared_memory(&self) -> BTreeMap<&SnapshotId, u64> {
        let sealed = self.taking_memory().filter_map(|machine| match &machine.memory {
            Memory::Own => None,
            Memory::Sealed { snapshot } => Some((snapshot, machine.shape.memory_mib)),
        });
        sealed.collect()
    }

    /// Machines that run or are about to.
    fn taking_memory(&self) -> impl Iterator<Item = &Machine> {
        let lives = |machine: &&Machine| machine.phase.run().is_some();
        self.machines.iter().filter(lives).chain(self.starting())
    }

    fn promised_disk(&self) -> u64 {
        let machines = self.machines.iter().map(Machine::disk_bytes);
        let is_new = |machine: &&Machine| !self.machines.iter().any(|other| other.id == machine.id);
        let planned = self.starting().filter(is_new).map(Machine::disk_bytes);
        // The system disk is counted with its machine.
        let own = |volume: &&Volume| !volume.is_system();
        let new = self.open.iter().filter_map(|plan| match &plan.commit {
            Change::VolumeAdded { volume } => Some(volume),
            _ => None,
        });
        let volumes = self.volumes.iter().chain(new).filter(own).map(|volume| volume.size_bytes);
        let snapshots = self.snapshots.iter().map(Snapshot::data_bytes);
        machines.chain(planned).chain(volumes).chain(snapshots).fold(0, u64::saturating_add)
    }

    /// Machines that open operations are about to start.
    fn starting(&self) -> impl Iterator<Item = &Machine> {
        self.open.iter().filter_map(|plan| match &plan.commit {
            Change::MachineStarted { machine, .. } => Some(machine.as_ref()),
            _ => None,
        })
    }

    /// The volumes with these ids, free to be attached to one machine.
    pub fn free_volumes(&self, ids: &[VolumeId]) -> Result<Vec<&Volume>, Refusal> {
        if ids.len() > MAXIMUM_USER_DISKS {
            let reason = format!("a machine has at most {MAXIMUM_USER_DISKS} user volumes");
            return Err(Refusal::new(ErrorCode::Refused, reason));
        }
        if let Some((_, id)) = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)) {
            return Err(Refusal::new(ErrorCode::Refused, format!("volume {id} is named twice")));
        }
        let find = |id: &VolumeId| {
            let volume = self
                .volumes
                .iter()
                .find(|volume| volume.id == *id)
                .ok_or_else(|| Refusal::new(ErrorCode::NotFound, format!("no volume {id}")))?;
            match &volume.attached {
                None => Ok(volume),
                Some(machine) => Err(Refusal::new(
                    ErrorCode::Busy,
                    format!("volume {id} is attached to machine {machine}"),
                )),
            }
        };
        ids.iter().map(find).collect()
    }
}

/// What a clone is promised for the pages that it writes itself, in MiB: idle ones of 256 MiB were measured to have 32, VMM and all.
fn clone_floor_mib(memory_mib: u64) -> u64 {
    (memory_mib / 4).max(32).min(memory_mib)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a factor on a byte count needs no exact answer"
)]
fn scaled(bytes: u64, factor: f64) -> u64 {
    (bytes as f64 * factor) as u64
}
