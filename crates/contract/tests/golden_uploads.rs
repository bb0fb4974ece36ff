//! The JSON of uploads, as `golden.rs` does it for the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use contract::ArtifactId;
use contract::upload::{
    ArtifactUpload, CompletedPart, UploadPart, UploadSnapshotRequest, UploadSnapshotResponse,
    UploadedArtifact,
};
use serde_json::json;

use support::same;

#[test]
fn an_upload_names_parts_and_is_answered_with_their_etags() {
    same(
        &UploadSnapshotRequest {
            artifacts: vec![ArtifactUpload {
                artifact_id: ArtifactId::DiskUser(1),
                object_key: "s/user-1.img".into(),
                upload_id: "u".into(),
                parts: vec![UploadPart {
                    part_number: 1,
                    offset_bytes: 0,
                    size_bytes: 7,
                    upload_url: "https://store.example/s?partNumber=1".parse().unwrap(),
                }],
            }],
        },
        &json!({"artifacts": [{
            "artifact_id": "disk-user-1", "object_key": "s/user-1.img", "upload_id": "u",
            "parts": [{
                "part_number": 1, "offset_bytes": 0, "size_bytes": 7,
                "upload_url": "https://store.example/s?partNumber=1",
            }],
        }]}),
    );
    same(
        &UploadSnapshotResponse {
            artifacts: vec![UploadedArtifact {
                artifact_id: ArtifactId::Memory,
                completed_parts: vec![CompletedPart { part_number: 1, etag: "\"e\"".into() }],
            }],
        },
        &json!({"artifacts": [{
            "artifact_id": "memory", "completed_parts": [{"part_number": 1, "etag": "\"e\""}],
        }]}),
    );
}
