//! The JSON of files, mounts, published ports and the storage report, as `golden.rs` does it for the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use contract::Secret;
use contract::file::{
    FileEdit, FileEntry, FileMatch, FileOperationName, FileOperationRequest, FileOperationResponse,
    FileStat, FileType,
};
use contract::machine::PortProtocol;
use contract::mount::{
    CreateMountRequest, Mount, MountConfig, MountKind, MountStatus, MountsAnswer,
};
use contract::published_port::{
    CreatePublishedPortRequest, PublishedPort, PublishedPortAnswer, PublishedPortsAnswer,
};
use contract::storage::{
    MachineUsage, PoolUsage, SnapshotUsage, StoragePool, StorageReport, StorageReportAnswer,
};
use serde_json::json;

use support::same;

fn bare_request(operation: &str) -> FileOperationRequest {
    serde_json::from_value(json!({"operation": operation})).unwrap()
}

#[test]
fn file_operations_send_only_what_they_need() {
    same(
        &FileOperationRequest {
            path: "notes.txt".into(),
            edits: vec![FileEdit { find: "a".into(), replace: String::new() }],
            expected_version: Some(7),
            ..bare_request("patch")
        },
        &json!({
            "operation": "patch", "path": "notes.txt", "edits": [{"find": "a", "replace": ""}], "expected_version": 7,
        }),
    );
    assert_eq!(bare_request("list").operation, FileOperationName::List);
}

#[test]
fn contents_that_are_set_to_nothing_are_not_absent() {
    let emptied = json!({"operation": "patch", "path": "a", "set_contents": ""});
    same(
        &FileOperationRequest {
            path: "a".into(),
            set_contents: Some(String::new()),
            ..bare_request("patch")
        },
        &emptied,
    );
    let untouched: FileOperationRequest = serde_json::from_value(
        json!({"operation": "patch", "set_contents": null, "mode": 0, "edits": null}),
    )
    .unwrap();
    assert_eq!(untouched, bare_request("patch"));
}

#[test]
fn file_answers_say_false_and_nothing_aloud() {
    same(
        &FileOperationResponse { exists: Some(false), ..FileOperationResponse::default() },
        &json!({"exists": false}),
    );
    same(
        &FileOperationResponse { entries: Some(Vec::new()), ..FileOperationResponse::default() },
        &json!({"entries": []}),
    );
    same(
        &FileOperationResponse {
            content: Some(String::new()),
            entries: Some(vec![FileEntry {
                path: "a/b".into(),
                name: "b".into(),
                file_type: FileType::File,
                size_bytes: Some(0),
                mode: Some(420),
            }]),
            stat: Some(FileStat {
                path: ".".into(),
                file_type: FileType::Directory,
                size_bytes: None,
                mode: None,
            }),
            version: Some(1),
            matches: Some(vec![FileMatch { path: "a".into(), line: 3, text: "x".into() }]),
            ..FileOperationResponse::default()
        },
        &json!({
            "content": "",
            "entries": [{"path": "a/b", "name": "b", "type": "file", "size_bytes": 0, "mode": 420}],
            "stat": {"path": ".", "type": "directory"},
            "version": 1,
            "matches": [{"path": "a", "line": 3, "match": "x"}],
        }),
    );
}

#[test]
fn promise_p11_a_mount_is_answered_without_its_secret() {
    let request: CreateMountRequest = serde_json::from_value(json!({
        "mount_id": "data", "kind": "s3", "target_path": "/data", "read_only": true,
        "config": {"bucket": "b", "secret_access_key": "hunter2", "extra_flags": null},
    }))
    .unwrap();
    assert_eq!(request.config.secret_access_key, Secret::new("hunter2"));
    assert!(!format!("{request:?}").contains("hunter2"));
    let mount = Mount {
        id: request.mount_id,
        machine_id: "box".parse().unwrap(),
        kind: MountKind::S3,
        target_path: request.target_path,
        read_only: request.read_only,
        config: request.config.without_secret(),
        status: MountStatus::Pending,
        status_message: String::new(),
        created_at: "2026-11-24T23:17:00Z".parse().unwrap(),
    };
    same(
        &MountsAnswer { mounts: vec![mount] },
        &json!({"mounts": [{
            "id": "data", "machine_id": "box", "kind": "s3", "target_path": "/data", "read_only": true,
            "config": {
                "bucket": "b", "endpoint": "", "region": "", "access_key_id": "", "secret_access_key": "",
                "vfs_cache_mode": "", "extra_flags": [],
            },
            "status": "pending", "status_message": "", "created_at": "2026-11-24T23:17:00Z",
        }]}),
    );
    assert_eq!(MountConfig::default().bucket, "");
}

#[test]
fn a_published_port_leads_from_the_host_to_the_guest() {
    let request: CreatePublishedPortRequest = serde_json::from_value(
        json!({"published_port_id": "web", "name": "", "port": 8080, "protocol": ""}),
    )
    .unwrap();
    assert_eq!((request.name, request.protocol), (None, PortProtocol::Tcp));
    let port = PublishedPort {
        id: request.published_port_id,
        machine_id: "box".parse().unwrap(),
        name: String::new(),
        port: request.port,
        host_port: 20000,
        protocol: request.protocol,
        http: request.http,
        host_name: None,
        created_at: "2026-11-24T23:17:00Z".parse().unwrap(),
    };
    same(
        &PublishedPortAnswer { port },
        &json!({"port": {
            "id": "web", "machine_id": "box", "name": "", "port": 8080, "host_port": 20000, "protocol": "tcp",
            "created_at": "2026-11-24T23:17:00Z",
        }}),
    );
    same(&PublishedPortsAnswer { ports: Vec::new() }, &json!({"ports": []}));
}

#[test]
fn a_storage_report_names_pools_machines_and_snapshots() {
    same(
        &StorageReportAnswer {
            report: StorageReport {
                generated_at: "2026-11-24T23:17:00Z".parse().unwrap(),
                total_bytes: 9,
                pools: vec![PoolUsage { pool: StoragePool::MachineDisks, bytes: 4 }],
                machines: vec![MachineUsage {
                    machine_id: "box".parse().unwrap(),
                    system_bytes: 1,
                    user_bytes: 2,
                    runtime_bytes: 1,
                }],
                snapshots: vec![SnapshotUsage { snapshot_id: "s".parse().unwrap(), bytes: 5 }],
                published_ports: 0,
            },
        },
        &json!({"report": {
            "generated_at": "2026-11-24T23:17:00Z", "total_bytes": 9,
            "pools": [{"pool": "machine-disks", "bytes": 4}],
            "machines": [{"machine_id": "box", "system_bytes": 1, "user_bytes": 2, "runtime_bytes": 1}],
            "snapshots": [{"snapshot_id": "s", "bytes": 5}],
            "published_ports": 0,
        }}),
    );
}
