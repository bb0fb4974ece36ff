//! The JSON of chunked forms, as `golden.rs` does it for the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use contract::chunked::{
    ChunkSnapshotRequest, ChunkedForm, ChunkedFormAnswer, ChunkedManifest, ChunkedPack,
    ChunkedSource, PackDownload, PackUpload, UploadChunkedAnswer, UploadChunkedRequest,
};
use contract::{PackId, Secret};
use serde_json::json;

use support::same;

fn pack() -> PackId {
    PackId::from_bytes(&[0xab; 32])
}

#[test]
fn a_chunked_form_says_what_is_missing() {
    same(
        &ChunkSnapshotRequest { have: vec![pack()], key: Secret::new("c2VjcmV0") },
        &json!({"have": ["ab".repeat(32)], "key": "c2VjcmV0"}),
    );
    same(&ChunkSnapshotRequest::default(), &json!({}));
    let manifest = ChunkedManifest { size_bytes: 7, sha256_hex: "b".repeat(64).parse().unwrap() };
    let missing = ChunkedPack { pack_id: pack(), size_bytes: 9, missing: true };
    let form = ChunkedForm {
        snapshot_id: "s.1".parse().unwrap(),
        manifest,
        packs: vec![missing],
        new_bytes: 9,
        key_name: Some("k".into()),
    };
    same(
        &ChunkedFormAnswer { form },
        &json!({"form": {
            "snapshot_id": "s.1", "manifest": {"size_bytes": 7, "sha256_hex": "b".repeat(64)},
            "packs": [{"pack_id": "ab".repeat(32), "size_bytes": 9, "missing": true}],
            "new_bytes": 9, "key_name": "k",
        }}),
    );
}

#[test]
fn packs_are_sent_and_read_by_signed_urls() {
    same(
        &UploadChunkedRequest {
            packs: vec![PackUpload {
                pack_id: pack(),
                upload_url: "https://store/p".parse().unwrap(),
            }],
            manifest_url: Some("https://store/m".parse().unwrap()),
        },
        &json!({
            "packs": [{"pack_id": "ab".repeat(32), "upload_url": "https://store/p"}],
            "manifest_url": "https://store/m",
        }),
    );
    same(&UploadChunkedAnswer { packs: 1, sent_bytes: 16 }, &json!({"packs": 1, "sent_bytes": 16}));
    same(
        &ChunkedSource {
            manifest_url: "https://store/m".parse().unwrap(),
            manifest_sha256_hex: "b".repeat(64).parse().unwrap(),
            packs: vec![PackDownload {
                pack_id: pack(),
                download_url: "https://store/p".parse().unwrap(),
            }],
            key: Secret::new("c2VjcmV0"),
        },
        &json!({
            "manifest_url": "https://store/m", "manifest_sha256_hex": "b".repeat(64),
            "packs": [{"pack_id": "ab".repeat(32), "download_url": "https://store/p"}],
            "key": "c2VjcmV0",
        }),
    );
}
