//! The JSON of restores, as `golden.rs` does it for the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Debug;

use contract::lazy::{LazyRestore, Touched};
use contract::machine::ArtifactRef;
use contract::restore::{
    DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource, Verify,
};
use contract::{ArtifactId, SnapshotArtifact};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &Value) {
    assert_eq!(&serde_json::to_value(value).unwrap(), json);
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
}

fn artifact() -> ArtifactRef {
    ArtifactRef {
        kernel_image_url: "file:///images/debian/kernel".parse().unwrap(),
        rootfs_url: "https://images.example/root.img?v=2".parse().unwrap(),
        initrd_url: Some("file:///images/debian/initrd".parse().unwrap()),
        kernel_sha256_hex: Some("a".repeat(64).parse().unwrap()),
        rootfs_sha256_hex: None,
        initrd_sha256_hex: None,
    }
}

fn artifact_json() -> Value {
    json!({
        "kernel_image_url": "file:///images/debian/kernel",
        "rootfs_url": "https://images.example/root.img?v=2",
        "initrd_url": "file:///images/debian/initrd",
        "kernel_sha256_hex": "a".repeat(64),
    })
}

fn manifest() -> SnapshotArtifact {
    SnapshotArtifact {
        id: ArtifactId::Manifest,
        size_bytes: 812,
        sha256_hex: Some("b".repeat(64).parse().unwrap()),
        object_key: Some("s/manifest.json".into()),
        download_url: Some(
            "https://store.example/s/manifest.json?X-Amz-Signature=1".parse().unwrap(),
        ),
    }
}

fn manifest_json() -> Value {
    json!({
        "id": "manifest", "kind": "manifest", "name": "manifest.json", "size_bytes": 812, "sha256_hex": "b".repeat(64),
        "object_key": "s/manifest.json",
        "download_url": "https://store.example/s/manifest.json?X-Amz-Signature=1",
    })
}

#[test]
fn a_restore_names_one_source() {
    let local = RestoreSnapshotRequest {
        machine_id: "fork".parse().unwrap(),
        artifact: artifact(),
        memory_mib: None,
        storage_bytes: None,
        guest_config: None,
        source: RestoreSource::Local(LocalSnapshot { snapshot_id: "s.1".parse().unwrap() }),
        dense: false,
        verify: Verify::Sealed,
        lazy: None,
    };
    same(
        &local,
        &json!({
            "machine_id": "fork", "artifact": artifact_json(), "local_snapshot": {"snapshot_id": "s.1"},
            "verify": "sealed",
        }),
    );
    let durable = RestoreSnapshotRequest {
        source: RestoreSource::Durable(DurableSnapshot {
            snapshot_id: Some("s.1".parse().unwrap()),
            machine_id: Some("box".parse().unwrap()),
            image_id: Some("debian".into()),
            source_runtime_host: None,
            source_tap_device: None,
            artifacts: vec![manifest()],
            chunked: None,
        }),
        dense: true,
        verify: Verify::Full,
        ..local
    };
    same(
        &durable,
        &json!({
            "machine_id": "fork", "artifact": artifact_json(),
            "snapshot": {
                "snapshot_id": "s.1", "machine_id": "box", "image_id": "debian", "artifacts": [manifest_json()],
            },
            "dense": true, "verify": "full",
        }),
    );
    let bare = json!({"machine_id": "fork", "artifact": artifact_json(), "snapshot": {"snapshot_id": "s.1"}});
    let lazily = RestoreSnapshotRequest {
        source: RestoreSource::Durable(DurableSnapshot {
            snapshot_id: Some("s.1".parse().unwrap()),
            ..DurableSnapshot::default()
        }),
        dense: false,
        verify: Verify::Sealed,
        lazy: Some(LazyRestore {
            renewal_url: Some("https://control.test/renew".parse().unwrap()),
            working_set: vec![Touched {
                artifact: ArtifactId::Memory,
                first_chunk: 3,
                chunk_count: 2,
            }],
        }),
        ..durable
    };
    let mut json = bare;
    json["snapshot"]["artifacts"] = json!([]);
    json["verify"] = json!("sealed");
    json["lazy"] = json!(true);
    json["renewal_url"] = json!("https://control.test/renew");
    json["working_set"] = json!([{"artifact": "memory", "first_chunk": 3, "chunk_count": 2}]);
    same(&lazily, &json);
}
