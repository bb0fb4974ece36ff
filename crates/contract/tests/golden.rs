//! Each answer and request, as a value and as the JSON that stands for it. A field that is renamed or dropped shows here.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use contract::exec::{ExecRequest, ExecResponse};
use contract::fork::{ForkAnswer, ForkRequest, ForkedMachine};
use contract::machine::{
    CpuTemplate, CreateMachineRequest, Egress, GuestConfig, GuestProtocol, Identity, LoginWebhook,
    Machine, MachineAnswer, MachinePort, MachinesAnswer, Phase, PortName, PortProtocol, RateLimits,
    ResizeMachineRequest,
};
use contract::operation::{Operation, OperationKind, OperationState, OperationsAnswer};
use contract::snapshot::{
    CreateSnapshotRequest, Snapshot, SnapshotAnswer, SnapshotState, SnapshotsAnswer,
};
use contract::volume::{Volume, VolumeKind};
use contract::{ErrorBody, ErrorCode, Secret};
use serde_json::json;

use support::{artifact, artifact_json, manifest, manifest_json, same};

/// A key that may log in.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHThG2GNUEfcr16rHkxUriBq8lpBMsn5qs1jk2RTu12L me";

fn machine() -> Machine {
    Machine {
        id: "box".parse().unwrap(),
        artifact: artifact(),
        system_volume_id: "box-system".parse().unwrap(),
        user_volume_ids: Vec::new(),
        runtime_host: None,
        ports: Vec::new(),
        guest_ssh_host_public_key: None,
        phase: Phase::Starting,
        error: None,
        created_at: "2026-11-24T23:17:00Z".parse().unwrap(),
        started_at: None,
        identity: None,
        vcpus: 2,
        memory_mib: 3072,
        storage_bytes: 0,
        guest_protocol: GuestProtocol::Agent,
        egress: Egress::Open,
    }
}

#[test]
fn a_bare_machine_keeps_the_fields_that_are_always_there() {
    same(
        &MachineAnswer { machine: machine() },
        &json!({"machine": {
            "id": "box", "artifact": artifact_json(), "system_volume_id": "box-system", "user_volume_ids": [],
            "runtime_host": "", "ports": [], "guest_ssh_host_public_key": "", "phase": "starting", "error": "",
            "created_at": "2026-11-24T23:17:00Z",
            "vcpus": 2, "memory_mib": 3072, "storage_bytes": 0, "guest_protocol": "agent", "egress": "open",
        }}),
    );
    same(&MachinesAnswer { machines: Vec::new() }, &json!({"machines": []}));
}

#[test]
fn a_running_machine_says_all() {
    let running = Machine {
        user_volume_ids: vec!["box-user-1".parse().unwrap()],
        runtime_host: Some("10.200.0.2".parse().unwrap()),
        ports: vec![MachinePort {
            name: PortName::Ssh,
            port: 2222,
            host_port: Some(40000),
            protocol: PortProtocol::Tcp,
        }],
        guest_ssh_host_public_key: Some("ssh-ed25519 AAAA".into()),
        phase: Phase::Running,
        started_at: Some("2026-11-24T23:17:01.5Z".parse().unwrap()),
        identity: Some(Identity::Confirmed),
        ..machine()
    };
    same(
        &running,
        &json!({
            "id": "box", "artifact": artifact_json(), "system_volume_id": "box-system",
            "user_volume_ids": ["box-user-1"], "runtime_host": "10.200.0.2",
            "ports": [{"name": "ssh", "port": 2222, "host_port": 40000, "protocol": "tcp"}],
            "guest_ssh_host_public_key": "ssh-ed25519 AAAA", "phase": "running", "error": "",
            "created_at": "2026-11-24T23:17:00Z", "started_at": "2026-11-24T23:17:01.5Z", "identity": "confirmed",
            "vcpus": 2, "memory_mib": 3072, "storage_bytes": 0, "guest_protocol": "agent", "egress": "open",
        }),
    );
}

#[test]
fn a_request_for_a_machine_says_what_is_wanted() {
    same(
        &CreateMachineRequest {
            machine_id: "box".parse().unwrap(),
            artifact: artifact(),
            memory_mib: Some(512),
            storage_bytes: Some(1 << 33),
            user_volume_ids: vec!["data".parse().unwrap()],
            guest_config: Some(GuestConfig {
                hostname: Some("box.example".parse().unwrap()),
                authorized_keys: vec![KEY.parse().unwrap()],
                trusted_user_ca_keys: Vec::new(),
                login_webhook: Some(LoginWebhook {
                    url: "https://hooks.example/login".parse().unwrap(),
                    bearer_token: Secret::new("token"),
                }),
            }),
            vcpus: Some(4),
            guest_protocol: GuestProtocol::None,
            ready_ports: vec![22],
            egress: Egress::None,
            rate_limits: Some(RateLimits {
                disk_bytes_per_second: Some(1 << 20),
                disk_operations_per_second: Some(500),
                network_bytes_per_second: Some(2 << 20),
            }),
            cpu_template: Some(CpuTemplate::T2CL),
        },
        &json!({
            "machine_id": "box", "artifact": artifact_json(), "memory_mib": 512, "storage_bytes": 8_589_934_592_u64,
            "user_volume_ids": ["data"],
            "guest_config": {
                "hostname": "box.example", "authorized_keys": [KEY],
                "login_webhook": {"url": "https://hooks.example/login", "bearer_token": "token"},
            },
            "vcpus": 4, "guest_protocol": "none", "ready_ports": [22], "egress": "none",
            "rate_limits": {
                "disk_bytes_per_second": 1_048_576, "disk_operations_per_second": 500,
                "network_bytes_per_second": 2_097_152,
            },
            "cpu_template": "T2CL",
        }),
    );
    same(
        &ResizeMachineRequest { memory_mib: Some(1024), storage_bytes: None, restart: true },
        &json!({"memory_mib": 1024, "restart": true}),
    );
}

#[test]
fn commands_and_volumes_are_as_the_contract_says() {
    same(
        &ExecRequest { command: vec!["true".into()], ..ExecRequest::default() },
        &json!({"command": ["true"]}),
    );
    same(
        &ExecResponse {
            exit_code: 1,
            stdout: "out".into(),
            stderr: String::new(),
            duration_ms: 3,
            truncated: false,
        },
        &json!({"exit_code": 1, "stdout": "out", "stderr": "", "duration_ms": 3}),
    );
    same(
        &Volume {
            id: "box-system".parse().unwrap(),
            kind: VolumeKind::System,
            attached_machine_id: Some("box".parse().unwrap()),
            size_bytes: 1 << 30,
            outlives_machine: false,
            created_at: "2026-11-24T23:17:00Z".parse().unwrap(),
        },
        &json!({
            "id": "box-system", "kind": "system", "attached_machine_id": "box",
            "size_bytes": 1_073_741_824, "outlives_machine": false, "created_at": "2026-11-24T23:17:00Z",
        }),
    );
}

#[test]
fn a_snapshot_comes_with_its_files() {
    let snapshot = Snapshot {
        id: "s.1".parse().unwrap(),
        machine_id: "box".parse().unwrap(),
        source_runtime_host: "10.200.0.2".into(),
        source_tap_device: "tap0".into(),
        created_at: "2026-11-24T23:17:00Z".parse().unwrap(),
        state: SnapshotState::Complete,
        pause_ms: 9,
        frozen_ms: 14,
        size_bytes: 1000,
        allocated_bytes: 500,
        memory_mib: 512,
        vcpus: 2,
        guest_protocol: GuestProtocol::Agent,
        artifact: Some(artifact()),
        parent: Some("s.0".parse().unwrap()),
    };
    same(
        &SnapshotAnswer { snapshot, artifacts: vec![manifest()] },
        &json!({
            "snapshot": {
                "id": "s.1", "machine_id": "box", "source_runtime_host": "10.200.0.2", "source_tap_device": "tap0",
                "created_at": "2026-11-24T23:17:00Z", "state": "complete", "pause_ms": 9, "frozen_ms": 14,
                "size_bytes": 1000, "allocated_bytes": 500, "memory_mib": 512, "vcpus": 2, "guest_protocol": "agent",
                "artifact": artifact_json(), "parent": "s.0",
            },
            "artifacts": [manifest_json()],
        }),
    );
    same(&SnapshotsAnswer { snapshots: Vec::new() }, &json!({"snapshots": []}));
    same(&CreateSnapshotRequest::named("s.1".parse().unwrap()), &json!({"snapshot_id": "s.1"}));
    same(
        &CreateSnapshotRequest {
            max_pause_ms: Some(100),
            ..CreateSnapshotRequest::named("s.1".parse().unwrap())
        },
        &json!({"snapshot_id": "s.1", "max_pause_ms": 100}),
    );
}

#[test]
fn a_fork_is_answered_with_an_outcome_for_each_child() {
    same(
        &ForkRequest {
            count: Some(2),
            machine_ids: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            guest_config: None,
            own_memory: true,
            max_pause_ms: Some(100),
        },
        &json!({"count": 2, "machine_ids": ["a", "b"], "own_memory": true, "max_pause_ms": 100}),
    );
    same(&ForkRequest { count: Some(3), ..ForkRequest::default() }, &json!({"count": 3}));
    let child = |name: &str| ForkedMachine {
        machine_id: name.parse().unwrap(),
        operation_id: Some("01aryz6s410000000000000000".parse().unwrap()),
        machine: None,
        error: None,
    };
    let error = ErrorBody {
        error: "no room".into(),
        code: ErrorCode::NoRoom,
        operation_id: None,
        partial: None,
    };
    same(
        &ForkAnswer {
            snapshot_id: "s.1".parse().unwrap(),
            pause_ms: 9,
            frozen_ms: 14,
            children: vec![
                ForkedMachine { machine: Some(machine()), ..child("box") },
                ForkedMachine { error: Some(error), operation_id: None, ..child("b") },
            ],
        },
        &json!({
            "snapshot_id": "s.1", "pause_ms": 9, "frozen_ms": 14,
            "children": [
                {"machine_id": "box", "operation_id": "01aryz6s410000000000000000", "machine": serde_json::to_value(machine()).unwrap()},
                {"machine_id": "b", "error": {"error": "no room", "code": "no_room"}},
            ],
        }),
    );
}

#[test]
fn an_operation_says_how_far_it_has_come() {
    same(
        &OperationsAnswer {
            operations: vec![Operation {
                id: "01aryz6s410000000000000000".parse().unwrap(),
                kind: OperationKind::CreateSnapshot,
                key: Some("k-1".parse().unwrap()),
                state: OperationState::Committed,
                resource_id: "s.1".into(),
                status: Some(201),
                error: None,
                started_at: "2026-11-24T23:17:00Z".parse().unwrap(),
                ended_at: Some("2026-11-24T23:17:02Z".parse().unwrap()),
            }],
        },
        &json!({"operations": [{
            "id": "01aryz6s410000000000000000", "kind": "create_snapshot", "key": "k-1", "state": "committed",
            "resource_id": "s.1", "status": 201,
            "started_at": "2026-11-24T23:17:00Z", "ended_at": "2026-11-24T23:17:02Z",
        }]}),
    );
}
