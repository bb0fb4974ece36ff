//! The moment in which the plans of these tests are made.

use std::collections::BTreeSet;

use contract::machine::{ArtifactRef, Egress, GuestConfig, GuestProtocol};
use contract::port::PortName;
use contract::{MachineId, OperationId, SnapshotId, VolumeId};
use engine::layout::Layout;
use engine::phase::{Phase, Run};
use engine::plan::{Capacity, Deadlines, Defaults, Facts, Overcommit, Plan, Settings};
use engine::record::{
    CpuIdentity, Machine, Memory, Origin, PublishedPort, RelayPort, Shape, Slot, Snapshot,
    SnapshotOrigin, Tuning, VmmKind, Volume,
};
use engine::step::Step;
use engine::testing;
use jiff::Timestamp;

/// Everything that facts borrow.
pub(crate) struct Moment {
    pub(crate) settings: Settings,
    pub(crate) machines: Vec<Machine>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) published_ports: Vec<PublishedPort>,
    pub(crate) listening: BTreeSet<u16>,
    pub(crate) open: Vec<Plan>,
    pub(crate) capacity: Capacity,
}

impl Moment {
    /// A host with nothing on it.
    pub(crate) fn empty() -> Self {
        let deadlines =
            Deadlines { start_ms: 60_000, stop_ms: 10_000, agent_ms: 2_000, self_thaw_ms: 30_000 };
        Self {
            settings: Settings {
                layout: Layout::new("/root"),
                host_id: "00000000".into(),
                addresses: testing::block(),
                first_uid: 200_000,
                relays: testing::relays(),
                vmm: VmmKind::Qemu,
                defaults: Defaults { vcpus: 2, memory_mib: 256, storage_bytes: 2 << 30 },
                overcommit: Overcommit { memory: 1.0, disk: 1.0 },
                deadlines,
                image_dirs: vec!["/images".into()],
                login_ca_public_keys: vec![],
                keep_failed: false,
                may_raise_limits: true,
            },
            machines: vec![],
            snapshots: vec![],
            volumes: vec![],
            published_ports: vec![],
            listening: BTreeSet::new(),
            open: vec![],
            capacity: Capacity {
                memory_bytes: 1 << 30,
                disk_bytes: 16 << 30,
                disk_free_bytes: 16 << 30,
            },
        }
    }

    /// A host with one running machine, `box`, in slot 0, with the first port of each range.
    pub(crate) fn with_box() -> Self {
        let mut moment = Self::empty();
        let phase = Phase::Running { run: Box::new(testing::run("box")) };
        moment.machines.push(Machine { phase, ..machine("box") });
        moment.volumes.push(system_volume("box"));
        moment
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            settings: &self.settings,
            machines: &self.machines,
            snapshots: &self.snapshots,
            volumes: &self.volumes,
            published_ports: &self.published_ports,
            listening: &self.listening,
            open: &self.open,
            capacity: self.capacity,
            now: now(),
            operation: this(),
            random: 0xabc,
        }
    }
}

/// The operation that is planned.
pub(crate) fn this() -> OperationId {
    testing::operation(9)
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(crate) fn machine_id(name: &str) -> MachineId {
    name.parse().unwrap()
}

pub(crate) fn snapshot_id(name: &str) -> SnapshotId {
    name.parse().unwrap()
}

pub(crate) fn artifact() -> ArtifactRef {
    ArtifactRef {
        kernel_image_url: "file:///images/kernel".parse().unwrap(),
        rootfs_url: "https://images.test/root.img".parse().unwrap(),
        initrd_url: Some("file:///images/initrd".parse().unwrap()),
        kernel_sha256_hex: None,
        rootfs_sha256_hex: Some("ab".repeat(32).parse().unwrap()),
        initrd_sha256_hex: None,
    }
}

/// A stopped machine as `create` records it.
pub(crate) fn machine(name: &str) -> Machine {
    Machine {
        id: machine_id(name),
        artifact: artifact(),
        shape: shape(),
        storage_bytes: 2 << 30,
        vmm: VmmKind::Qemu,
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        tuning: Tuning::default(),
        guest_config: GuestConfig::default(),
        user_volume_ids: vec![],
        relays: relays(0),
        memory: Memory::Own,
        filling: None,
        restored_from: None,
        machine_id_hex: format!("{:032x}", 0xabc),
        identity: None,
        agent_version: None,
        ssh_host_public_key: None,
        mounts: vec![],
        phase: Phase::Stopped { reason: None },
        created_at: now(),
        started_at: Some(now()),
    }
}

/// The relays of a machine that took the ports with this number of each range.
pub(crate) fn relays(number: u16) -> Vec<RelayPort> {
    let ranges = testing::relays();
    vec![
        RelayPort { name: PortName::Ssh, host_port: ranges.ssh.first + number },
        RelayPort { name: PortName::Vnc, host_port: ranges.vnc.first + number },
    ]
}

pub(crate) fn shape() -> Shape {
    Shape { vcpus: 2, memory_mib: 256 }
}

pub(crate) fn system_volume(name: &str) -> Volume {
    let id = machine_id(name);
    Volume {
        id: VolumeId::system_of(&id),
        attached: Some(id.clone()),
        goes_with: Some(id),
        size_bytes: 2 << 30,
        created_at: now(),
    }
}

pub(crate) fn data_volume(name: &str) -> Volume {
    Volume {
        id: name.parse().unwrap(),
        attached: None,
        goes_with: None,
        size_bytes: 1 << 30,
        created_at: now(),
    }
}

/// The run that this operation makes of a machine.
pub(crate) fn this_launch(name: &str) -> engine::port::Launch {
    engine::port::Launch { operation: this(), ..testing::run(name).launch }
}

pub(crate) fn slot(index: u32) -> Slot {
    testing::slot(index)
}

pub(crate) fn run_of(machine: &Machine) -> &Run {
    machine.phase.run().unwrap()
}

pub(crate) fn origin() -> Origin {
    Origin {
        vmm: VmmKind::Qemu,
        vmm_version: "7.2".into(),
        vmm_sha256: "cd".repeat(32).parse().unwrap(),
        machine_type: "microvm".into(),
        cpu: CpuIdentity {
            accelerator: "tcg".into(),
            model: "max".into(),
            vendor: "GenuineIntel".into(),
            signature: "6-85-7".into(),
            flags: vec!["sse2".into()],
        },
        tsc_khz: 2_000_000,
        host_kernel: "6.1".into(),
        shape: shape(),
    }
}

pub(crate) fn snapshot_origin(name: &str) -> SnapshotOrigin {
    SnapshotOrigin {
        snapshot: snapshot_id(name),
        machine: machine_id("box"),
        created_at: now(),
        host: origin(),
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        tuning: Tuning::default(),
        artifact: artifact(),
        agent_version: None,
        parent: None,
    }
}

pub(crate) fn snapshot(name: &str) -> Snapshot {
    Snapshot::taken(snapshot_origin(name), Some(slot(0).runtime_address))
}

/// What follows the start of a machine by this operation.
pub(crate) fn await_ready(name: &str) -> Vec<Step> {
    let machine = machine_id(name);
    let waits = Step::AwaitReady { machine: machine.clone(), launch: this_launch(name) };
    vec![waits, Step::ServeRelays { machine }]
}
