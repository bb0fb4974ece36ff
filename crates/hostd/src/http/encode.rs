//! From records to answers of the contract. Pure.

use contract::artifact::SnapshotArtifact;
use contract::machine::{Machine, MachinePort, PortProtocol};
use contract::mount::{Mount, MountStatus};
use contract::operation::{Operation, OperationKind, OperationState};
use contract::published_port::PublishedPort;
use contract::snapshot::{Snapshot, SnapshotAnswer, SnapshotState};
use contract::upload::{CompletedPart, UploadSnapshotResponse, UploadedArtifact};
use contract::volume::{Volume, VolumeKind};
use engine::phase::Phase;
use engine::plan::{Change, FinishedPart};
use engine::record;

use super::error::code_of;

/// The tap of every guest, inside its namespace.
const TAP: &str = "tap0";

/// A machine.
pub(super) fn machine(record: &record::Machine) -> Machine {
    let port = |relay: &record::RelayPort| MachinePort {
        name: relay.name,
        port: relay.name.guest_port(),
        host_port: Some(relay.host_port),
        protocol: PortProtocol::Tcp,
    };
    Machine {
        id: record.id.clone(),
        artifact: record.artifact.clone(),
        system_volume_id: record.system_volume_id(),
        user_volume_ids: record.user_volume_ids.clone(),
        runtime_host: record.phase.run().map(|run| run.slot.runtime_address.into()),
        ports: record.relays.iter().map(port).collect(),
        guest_ssh_host_public_key: record.ssh_host_public_key.clone(),
        phase: record.phase.public(),
        error: record.phase.reason().map(str::to_owned),
        created_at: record.created_at,
        started_at: record.started_at,
        identity: record.identity,
        vcpus: record.shape.vcpus,
        memory_mib: record.shape.memory_mib,
        storage_bytes: record.storage_bytes,
        guest_protocol: record.guest_protocol,
        egress: record.egress,
    }
}

/// The machine as a commit left it: `starting`.
pub(super) fn started_machine(change: &Change) -> Option<Machine> {
    let Change::MachineStarted { machine: record, launch, slot, handle, deadline, .. } = change
    else {
        return None;
    };
    let run = Change::started_run(launch, slot, handle.as_ref()?);
    let phase = Phase::Starting { run: Box::new(run), deadline: *deadline };
    Some(machine(&record::Machine { phase, ..record.as_ref().clone() }))
}

/// A volume.
pub(super) fn volume(record: &record::Volume) -> Volume {
    Volume {
        id: record.id.clone(),
        kind: if record.is_system() { VolumeKind::System } else { VolumeKind::User },
        attached_machine_id: record.attached.clone(),
        size_bytes: record.size_bytes,
        outlives_machine: record.goes_with.is_none(),
        created_at: record.created_at,
    }
}

/// A published port.
pub(super) fn published_port(record: &record::PublishedPort) -> PublishedPort {
    PublishedPort {
        id: record.id.clone(),
        machine_id: record.machine.clone(),
        name: record.name.clone().unwrap_or_default(),
        port: record.port,
        host_port: record.host_port,
        protocol: PortProtocol::Tcp,
        http: record.is_http,
        host_name: record.is_http.then(|| record.host_label()),
        created_at: record.created_at,
    }
}

/// A snapshot.
pub(super) fn snapshot(record: &record::Snapshot) -> Snapshot {
    let origin = &record.origin;
    Snapshot {
        id: origin.snapshot.clone(),
        machine_id: origin.machine.clone(),
        source_runtime_host: record
            .source_runtime_host
            .map(|it| it.to_string())
            .unwrap_or_default(),
        source_tap_device: TAP.to_owned(),
        created_at: origin.created_at,
        state: match record.state {
            record::SnapshotState::Complete => SnapshotState::Complete,
            record::SnapshotState::Quarantined { .. } => SnapshotState::Quarantined,
        },
        pause_ms: milliseconds(record.pause_us),
        frozen_ms: milliseconds(record.frozen_us),
        size_bytes: record.artifacts.iter().map(|artifact| artifact.size_bytes).sum(),
        allocated_bytes: record.data_bytes(),
        memory_mib: origin.host.shape.memory_mib,
        vcpus: origin.host.shape.vcpus,
        guest_protocol: origin.guest_protocol,
        artifact: Some(origin.artifact.clone()),
        parent: origin.parent.clone(),
    }
}

/// A snapshot with its files.
pub(super) fn snapshot_answer(record: &record::Snapshot) -> SnapshotAnswer {
    let artifact = |sealed: &record::SealedArtifact| SnapshotArtifact {
        id: sealed.artifact,
        size_bytes: sealed.size_bytes,
        sha256_hex: sealed.sha256.clone(),
        object_key: None,
        download_url: None,
    };
    SnapshotAnswer {
        snapshot: snapshot(record),
        artifacts: record.artifacts.iter().map(artifact).collect(),
    }
}

/// A mount, which waits for as long as its machine does not run.
pub(super) fn mount(machine: &record::Machine, record: &record::Mount) -> Mount {
    let (status, status_message) = match (&machine.phase, &record.state) {
        (Phase::Running { .. }, record::MountState::Mounting) => (MountStatus::Mounting, ""),
        (Phase::Running { .. }, record::MountState::Mounted) => (MountStatus::Mounted, ""),
        (Phase::Running { .. }, record::MountState::Failed { reason }) => {
            (MountStatus::Failed, reason.as_str())
        }
        (Phase::Running { .. }, record::MountState::Pending)
        | (Phase::Starting { .. } | Phase::Stopped { .. } | Phase::Failed { .. }, _) => {
            (MountStatus::Pending, "")
        }
    };
    Mount {
        id: record.id.clone(),
        machine_id: machine.id.clone(),
        kind: record.kind,
        target_path: record.target_path.clone(),
        read_only: record.read_only,
        config: record.config.clone(),
        status,
        status_message: status_message.to_owned(),
        created_at: record.created_at,
    }
}

/// The parts of an upload, by artifact in the order of the request.
pub(super) fn uploaded(parts: &[FinishedPart]) -> UploadSnapshotResponse {
    let mut artifacts: Vec<UploadedArtifact> = Vec::new();
    for part in parts {
        let completed = CompletedPart {
            part_number: part.part_number,
            etag: part.etag.clone().unwrap_or_default(),
        };
        match artifacts.iter_mut().find(|it| it.artifact_id == part.artifact) {
            Some(artifact) => artifact.completed_parts.push(completed),
            None => artifacts.push(UploadedArtifact {
                artifact_id: part.artifact,
                completed_parts: vec![completed],
            }),
        }
    }
    UploadSnapshotResponse { artifacts }
}

/// An operation.
pub(super) fn operation(record: &record::Operation) -> Operation {
    let status = match (record.state, &record.error) {
        (OperationState::Committed, _) => Some(success(record.plan.kind)),
        (OperationState::Running, _) | (_, None) => None,
        (_, Some(error)) => Some(code_of(error.fault).status().as_u16()),
    };
    Operation {
        id: record.id.clone(),
        kind: record.plan.kind,
        key: record.key.clone(),
        state: record.state,
        resource_id: record.plan.resource_id.clone(),
        status,
        error: record.error.as_ref().map(|error| error.reason.clone()),
        started_at: record.started_at,
        ended_at: record.ended_at,
    }
}

/// The status with which a committed operation is answered.
fn success(kind: OperationKind) -> u16 {
    match kind {
        OperationKind::CreateMachine
        | OperationKind::CreateSnapshot
        | OperationKind::RestoreSnapshot
        | OperationKind::Fork
        | OperationKind::CreateVolume
        | OperationKind::CreatePublishedPort
        | OperationKind::CreateMount => 201,
        OperationKind::StartMachine
        | OperationKind::ResizeMachine
        | OperationKind::OpenExecRelay
        | OperationKind::Exec
        | OperationKind::ChangeFiles
        | OperationKind::MovePorts
        | OperationKind::GrowVolume
        | OperationKind::AttachVolume
        | OperationKind::DetachVolume
        | OperationKind::ChunkSnapshot
        | OperationKind::CollectChunks
        | OperationKind::UploadSnapshot => 200,
        OperationKind::StopMachine
        | OperationKind::DeleteMachine
        | OperationKind::DeleteSnapshot
        | OperationKind::DeleteVolume
        | OperationKind::DeletePublishedPort
        | OperationKind::DeleteMount
        | OperationKind::RetireMachine => 204,
    }
}

/// Rounded up: a pause of half a millisecond is no pause of none.
pub(super) fn milliseconds(microseconds: Option<u64>) -> u64 {
    microseconds.unwrap_or(0).div_ceil(1000)
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
