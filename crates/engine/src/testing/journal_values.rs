//! The operations and records with which a journal is tried.

use contract::artifact::ArtifactId;
use contract::machine::{ArtifactRef, Egress, GuestConfig, GuestProtocol};
use contract::operation::{IdempotencyKey, OperationKind};
use contract::port::PortName;
use contract::{OperationId, SnapshotId};
use jiff::Timestamp;

use crate::phase::Phase;
use crate::plan::{Change, FinishedPart, Hold, Plan};
use crate::record::{
    CpuIdentity, Finding, Machine, Memory, Operation, Origin, PublishedPort, RelayPort, Shape,
    Snapshot, SnapshotOrigin, Tuning, VmmKind, Volume,
};
use crate::step::Step;

use super::{operation, run};

pub(super) fn keyed(number: u8) -> Operation {
    Operation {
        key: Some(key()),
        request_sha256: Some(contract::Sha256Hex::from_bytes(&[7; 32])),
        ..Operation::new(plan(number, start("box", number)), now())
    }
}

pub(super) fn key() -> IdempotencyKey {
    "a-key".parse().expect("a key")
}

/// Where the clock of a fresh journal stands.
pub(super) fn now() -> Timestamp {
    Timestamp::new(1_800_000_000, 123_456_789).expect("a time")
}

pub(super) fn id(name: &str) -> SnapshotId {
    name.parse().expect("a snapshot id")
}

pub(super) fn plan(number: u8, change: Change) -> Plan {
    let (kind, resource_id) = match &change {
        Change::MachineStarted { machine, .. } => {
            (OperationKind::CreateMachine, machine.id.to_string())
        }
        Change::SnapshotAdded { snapshot } => {
            (OperationKind::CreateSnapshot, snapshot.origin.snapshot.to_string())
        }
        Change::UploadFinished { snapshot, .. } => {
            (OperationKind::UploadSnapshot, snapshot.to_string())
        }
        Change::SnapshotRemoved { snapshot } => {
            (OperationKind::DeleteSnapshot, snapshot.to_string())
        }
        _ => (OperationKind::DeleteMachine, "box".to_owned()),
    };
    Plan {
        operation: operation(number),
        kind,
        resource_id,
        claims: vec![],
        hold: Hold::UntilCommit,
        prepare: vec![Step::MakeDir { dir: "/root/machines/box".into() }],
        commit: change,
        finish: vec![],
    }
}

pub(super) fn start(machine: &str, number: u8) -> Change {
    let mut run = run(machine);
    run.launch.operation = operation(number);
    let machine = Machine {
        id: run.launch.machine.clone(),
        artifact: artifact(),
        shape: Shape { vcpus: 2, memory_mib: 512 },
        storage_bytes: 1 << 30,
        vmm: VmmKind::Qemu,
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        tuning: Tuning::default(),
        guest_config: GuestConfig::default(),
        user_volume_ids: vec![],
        relays: vec![RelayPort { name: PortName::Ssh, host_port: 40_000 }],
        memory: Memory::Own,
        filling: None,
        restored_from: None,
        machine_id_hex: "0".repeat(32),
        identity: None,
        agent_version: None,
        ssh_host_public_key: None,
        mounts: vec![],
        phase: Phase::Stopped { reason: None },
        created_at: now(),
        started_at: None,
    };
    let system = volume(machine.system_volume_id().as_str(), true);
    Change::MachineStarted {
        machine: Box::new(machine),
        new_volumes: vec![system],
        launch: run.launch,
        slot: run.slot,
        handle: Some(run.handle),
        deadline: now(),
    }
}

pub(super) fn ready(machine: &str, launch: OperationId) -> Change {
    Change::MachineReady {
        machine: machine.parse().expect("a machine id"),
        launch,
        identity: None,
        agent_version: None,
        ssh_host_public_key: None,
    }
}

pub(super) fn stopped(machine: &str) -> Change {
    Change::MachineStopped { machine: machine.parse().expect("a machine id"), reason: None }
}

pub(super) fn removed(machine: &str) -> Change {
    Change::MachineRemoved { machine: machine.parse().expect("a machine id") }
}

/// A volume attached to the machine `box`.
pub(super) fn volume(name: &str, goes_with_machine: bool) -> Volume {
    let machine: contract::MachineId = "box".parse().expect("a machine id");
    Volume {
        id: name.parse().expect("a volume id"),
        attached: Some(machine.clone()),
        goes_with: goes_with_machine.then_some(machine),
        size_bytes: 1 << 20,
        created_at: now(),
    }
}

/// A published port of the machine `box`.
pub(super) fn published(name: &str, host_port: u16) -> PublishedPort {
    PublishedPort {
        id: name.parse().expect("a published port id"),
        machine: "box".parse().expect("a machine id"),
        name: None,
        port: 80,
        host_port,
        is_http: false,
        created_at: now(),
    }
}

fn artifact() -> ArtifactRef {
    ArtifactRef {
        kernel_image_url: "file:///images/kernel".parse().expect("a URL"),
        rootfs_url: "file:///images/root.img".parse().expect("a URL"),
        initrd_url: None,
        kernel_sha256_hex: None,
        rootfs_sha256_hex: None,
        initrd_sha256_hex: None,
    }
}

pub(super) fn snapshot(name: &str) -> Snapshot {
    let cpu = CpuIdentity {
        accelerator: "tcg".into(),
        model: "max".into(),
        vendor: "v".into(),
        signature: "s".into(),
        flags: vec![],
    };
    let host = Origin {
        vmm: VmmKind::Qemu,
        vmm_version: "7.2".into(),
        vmm_sha256: contract::Sha256Hex::from_bytes(&[1; 32]),
        machine_type: "microvm".into(),
        cpu,
        tsc_khz: 0,
        host_kernel: "6.1".into(),
        shape: Shape { vcpus: 2, memory_mib: 512 },
    };
    let origin = SnapshotOrigin {
        snapshot: id(name),
        machine: "box".parse().expect("a machine id"),
        created_at: now(),
        host,
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        tuning: Tuning::default(),
        artifact: artifact(),
        agent_version: None,
        parent: None,
    };
    Snapshot::taken(origin, None)
}

pub(super) fn part(upload_id: &str, number: u32) -> FinishedPart {
    FinishedPart {
        artifact: ArtifactId::Memory,
        upload_id: upload_id.to_owned(),
        part_number: number,
        offset_bytes: 0,
        size_bytes: 5,
        etag: Some(format!("\"{number}\"")),
    }
}

pub(super) fn finished_part(upload_id: &str, number: u32) -> Finding {
    let part = part(upload_id, number);
    Finding::PartFinished {
        artifact: part.artifact,
        upload_id: part.upload_id,
        part_number: number,
        offset_bytes: part.offset_bytes,
        size_bytes: part.size_bytes,
        etag: format!("\"{number}\""),
    }
}
