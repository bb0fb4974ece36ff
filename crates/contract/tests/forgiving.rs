//! Requests as clients without optionals send them: zero values everywhere.

use contract::exec::ExecRequest;
use contract::machine::{CreateMachineRequest, Egress, GuestProtocol, ResizeMachineRequest};
use contract::operation::{OperationsQuery, Wait, WaitQuery};
use contract::restore::{RestoreSnapshotRequest, RestoreSource, Verify};
use contract::upload::UploadSnapshotRequest;
use serde_json::{Value, json};

fn artifact() -> Value {
    json!({
        "kernel_image_url": "http://images.example/kernel", "rootfs_url": "http://images.example/root",
        "initrd_url": "", "kernel_sha256_hex": "", "rootfs_sha256_hex": null, "unknown": {"a": 1},
    })
}

#[test]
fn a_machine_with_zero_values_is_one_with_defaults() {
    let zeros: CreateMachineRequest = serde_json::from_value(json!({
        "machine_id": "box", "artifact": artifact(), "memory_mib": 0, "storage_bytes": 0, "user_volume_ids": null,
        "guest_config": {
            "hostname": "", "authorized_keys": null, "trusted_user_ca_keys": [],
            "login_webhook": {"url": "", "bearer_token": ""},
        },
        "vcpus": 0, "guest_protocol": "", "ready_ports": null, "egress": null, "labels": {"team": "a"},
    }))
    .unwrap();
    let bare: CreateMachineRequest =
        serde_json::from_value(json!({"machine_id": "box", "artifact": artifact()})).unwrap();

    assert_eq!(zeros, bare);
    assert_eq!((zeros.memory_mib, zeros.vcpus, zeros.guest_config), (None, None, None));
    assert_eq!((zeros.guest_protocol, zeros.egress), (GuestProtocol::Agent, Egress::Open));
    assert_eq!(zeros.artifact.initrd_url, None);
}

#[test]
fn what_a_machine_needs_is_not_forgiven() {
    for wrong in [
        json!({"artifact": artifact()}),
        json!({"machine_id": "", "artifact": artifact()}),
        json!({"machine_id": "a/../b", "artifact": artifact()}),
        json!({"machine_id": "box"}),
        json!({"machine_id": "box", "artifact": null}),
        json!({"machine_id": "box", "artifact": {"kernel_image_url": "", "rootfs_url": "http://x.example/"}}),
        json!({"machine_id": "box", "artifact": artifact(), "memory_mib": -1}),
        json!({"machine_id": "box", "artifact": artifact(), "memory_mib": "512"}),
        json!({"machine_id": "box", "artifact": artifact(), "guest_protocol": "telepathy"}),
        json!({"machine_id": "box", "artifact": artifact(), "guest_config": {"hostname": "a b"}}),
        json!({"machine_id": "box", "artifact": artifact(), "user_volume_ids": [".."]}),
    ] {
        serde_json::from_value::<CreateMachineRequest>(wrong).unwrap_err();
    }
}

#[test]
fn a_restore_takes_an_all_empty_source_for_none() {
    let restore = |source: Value| {
        let mut request =
            json!({"machine_id": "fork", "artifact": artifact(), "verify": "", "dense": null});
        request.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
        serde_json::from_value::<RestoreSnapshotRequest>(request)
    };
    let empty = json!({
        "snapshot_id": "", "machine_id": "", "image_id": "", "source_runtime_host": "", "source_tap_device": "",
        "artifacts": null,
    });

    let local =
        restore(json!({"local_snapshot": {"snapshot_id": "s"}, "snapshot": empty})).unwrap();
    assert!(
        matches!(&local.source, RestoreSource::Local(local) if local.snapshot_id.as_str() == "s")
    );
    assert_eq!(local.verify, Verify::Sealed);

    let memory = json!({
        "id": "memory", "kind": "memory", "name": "memory.bin", "size_bytes": 4, "sha256_hex": "", "object_key": "k",
        "download_url": "http://store.example/k?sig=1",
    });
    let durable = restore(json!({
        "local_snapshot": {"snapshot_id": ""}, "snapshot": {"snapshot_id": "", "artifacts": [memory]},
    }))
    .unwrap();
    assert_eq!(durable.source.snapshot_id(), None);
    assert!(
        matches!(&durable.source, RestoreSource::Durable(durable) if durable.artifacts.len() == 1)
    );

    restore(json!({})).unwrap_err();
    restore(json!({"local_snapshot": null, "snapshot": empty})).unwrap_err();
    restore(json!({"local_snapshot": {"snapshot_id": "s"}, "snapshot": {"snapshot_id": "s"}}))
        .unwrap_err();
    restore(json!({"local_snapshot": {"snapshot_id": "../s"}})).unwrap_err();
}

#[test]
fn other_requests_take_zero_values_for_absent_ones() {
    let exec: ExecRequest = serde_json::from_value(json!({
        "command": ["env"], "cwd": "", "env": {"EMPTY": ""}, "timeout_ms": 0, "user": "",
    }))
    .unwrap();
    assert_eq!(exec.env.get("EMPTY").map(String::as_str), Some(""));
    assert_eq!((exec.cwd, exec.timeout_ms, exec.user), (None, None, None));

    let bare: ExecRequest = serde_json::from_value(json!({"command": null, "env": null})).unwrap();
    assert_eq!(bare, ExecRequest::default());

    let resize: ResizeMachineRequest =
        serde_json::from_value(json!({"memory_mib": 0, "storage_bytes": null, "restart": false}))
            .unwrap();
    assert_eq!(resize, ResizeMachineRequest::default());

    let upload: UploadSnapshotRequest = serde_json::from_value(json!({"artifacts": null})).unwrap();
    assert_eq!(upload, UploadSnapshotRequest::default());
    let negative = json!({"artifacts": [{
        "artifact_id": "memory", "object_key": "k", "upload_id": "u",
        "parts": [{"part_number": 1, "offset_bytes": 0, "size_bytes": -1, "upload_url": "http://s.example/"}],
    }]});
    serde_json::from_value::<UploadSnapshotRequest>(negative).unwrap_err();
}

#[test]
fn queries_are_forgiving_too() {
    let wait = |value: Value| serde_json::from_value::<WaitQuery>(value).map(|query| query.wait);
    assert_eq!(wait(json!({"wait": "running"})).unwrap(), Some(Wait::Running));
    assert_eq!(wait(json!({"wait": "", "verbose": "1"})).unwrap(), None);
    wait(json!({"wait": "tomorrow"})).unwrap_err();

    let key =
        |value: Value| serde_json::from_value::<OperationsQuery>(value).map(|query| query.key);
    assert_eq!(key(json!({"key": "a~!"})).unwrap().unwrap().as_str(), "a~!");
    assert_eq!(key(json!({"key": ""})).unwrap(), None);
    for wrong in ["a b", "a\n", "é", &"k".repeat(129)] {
        key(json!({"key": wrong})).unwrap_err();
    }
}
