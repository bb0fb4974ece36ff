//! The JSON of restores, as `golden.rs` does it for the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use contract::ArtifactId;
use contract::lazy::{LazyRestore, Touched};
use contract::restore::{
    DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource, Verify,
};
use serde_json::json;

use support::{artifact, artifact_json, manifest, manifest_json, same};

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
