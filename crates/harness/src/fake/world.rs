//! The fake host itself: what is there, whoever made it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::OperationId;
use contract::machine::Egress;
use jiff::Timestamp;

use super::content::{Content, Part};
use super::disk::Disk;
use super::filling::FakeFilling;
use super::journal_rows::Rows;
use super::objects::Objects;
use super::process::Process;

/// A slot as far as it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeSlot {
    /// Whether veth pair, tap and rules are there too, or only the namespace.
    pub is_whole: bool,
    /// What the guest may reach; absent while the slot is closed.
    pub open: Option<Egress>,
}

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRelay {
    /// The slot that it leads into.
    pub slot: u32,
    /// The port of the guest.
    pub guest_port: u16,
}

/// One host. It outlives the daemons on it.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
}

/// What is on the host at a moment.
#[derive(Debug)]
pub struct State {
    /// Files.
    pub disk: Disk,
    /// Whatever lies behind URLs.
    pub objects: Objects,
    /// Records and journal.
    pub rows: Rows,
    /// VMM processes by pid.
    pub processes: BTreeMap<u32, Process>,
    /// How processes that are gone ended, by the operation of their launch: whether cleanly, and in words.
    pub ended: BTreeMap<OperationId, (bool, String)>,
    /// Cgroups, by the operation of the launch.
    pub cgroups: BTreeSet<OperationId>,
    /// Fillings that have processes, by the operation that began them.
    pub fillings: BTreeMap<OperationId, FakeFilling>,
    /// Network slots by index.
    pub slots: BTreeMap<u32, FakeSlot>,
    /// Relays of the living daemon, by port of the host.
    pub relays: BTreeMap<u16, FakeRelay>,
    /// Ports of the host on which somebody else listens.
    pub foreign_listeners: BTreeSet<u16>,
    /// Time since the fixed point.
    pub monotonic: Duration,
    /// How often the host was booted.
    pub boots: u32,
    /// What no correct daemon does.
    pub defects: BTreeSet<String>,
    next_pid: u32,
}

impl World {
    /// An empty host whose daemon's root is `root`.
    pub fn new(root: &camino::Utf8Path) -> Self {
        let mut disk = Disk::default();
        disk.make_dir(root, None);
        for name in ["artifacts", "machines", "snapshots", "chunks", "volumes", "scratch", "state"]
        {
            disk.make_dir(&root.join(name), None);
        }
        let state = State {
            disk,
            objects: Objects::default(),
            rows: Rows::default(),
            processes: BTreeMap::new(),
            ended: BTreeMap::new(),
            cgroups: BTreeSet::new(),
            fillings: BTreeMap::new(),
            slots: BTreeMap::new(),
            relays: BTreeMap::new(),
            foreign_listeners: BTreeSet::new(),
            monotonic: Duration::ZERO,
            boots: 1,
            defects: BTreeSet::new(),
            next_pid: 4_000_000,
        };
        Self { state: Mutex::new(state) }
    }

    /// The host at this moment, held still.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.monotonic += by;
        state.live();
    }

    /// The host loses power: processes, cgroups and namespaces are gone, files and records stay.
    pub fn reboot(&self) {
        let mut state = self.lock();
        state.processes.clear();
        state.ended.clear();
        state.cgroups.clear();
        state.fillings.clear();
        state.slots.clear();
        state.relays.clear();
        state.boots += 1;
    }
}

impl State {
    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_790_000_000).expect("a time in 2026");
        start.checked_add(self.monotonic).unwrap_or(Timestamp::MAX)
    }

    /// The boot id of the host.
    pub fn boot_id(&self) -> String {
        format!("boot-{}", self.boots)
    }

    /// A pid that was never used.
    pub fn mint_pid(&mut self) -> u32 {
        self.next_pid += 1;
        self.next_pid
    }

    /// The living process of a launch.
    pub fn process(&mut self, launch: &OperationId) -> Option<&mut Process> {
        self.processes.values_mut().find(|process| process.spec.launch.operation == *launch)
    }

    /// The process of a launch ends.
    pub fn end_process(&mut self, launch: &OperationId, is_clean: bool, reason: &str) {
        self.processes.retain(|_, process| {
            let ends = process.spec.launch.operation == *launch;
            if ends {
                self.ended.insert(launch.clone(), (is_clean, reason.to_owned()));
            }
            !ends
        });
    }

    /// A little time passes inside the guests: those that can, work, and write what they did to memory and disks.
    pub fn live(&mut self) {
        let now = self.monotonic;
        for process in self.processes.values_mut() {
            let guest = &mut process.guest;
            if !process.is_paused && guest.thaws_at.is_some_and(|at| at <= now) {
                guest.is_frozen = false;
                guest.thaws_at = None;
            }
            let machine = &process.spec.launch.machine;
            let slot = self.slots.get(&process.spec.slot.index);
            if guest.is_unconfirmed_clone && slot.is_some_and(|slot| slot.open.is_some()) {
                let what = format!("P8: {machine} may speak before it has confirmed who it is");
                self.defects.insert(what);
            }
            if guest.is_unconfirmed_clone
                && self.relays.values().any(|relay| relay.slot == process.spec.slot.index)
            {
                let what = format!("P8: {machine} is relayed to before it has confirmed");
                self.defects.insert(what);
            }
            if !process.works() {
                continue;
            }
            process.guest.work += 1;
            let (born, work) = (process.guest.born.clone(), process.guest.work);
            for (position, number) in process.open_inodes.iter().enumerate() {
                let part = if position == 0 { Part::Memory } else { Part::Disk(position - 1) };
                let Some(inode) = self.disk.inode_mut(*number) else { continue };
                if inode.is_read_only {
                    self.defects.insert(format!("P5: {machine} writes a sealed file"));
                }
                inode.content = Content::Guest { part, born: born.clone(), work, is_frozen: false };
            }
        }
    }
}
