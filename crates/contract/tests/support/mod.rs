//! What the tests of JSON have in common.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fmt::Debug;

use contract::machine::ArtifactRef;
use contract::{ArtifactId, SnapshotArtifact};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A value and the JSON that stands for it are each made from the other.
pub(crate) fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &Value) {
    assert_eq!(&serde_json::to_value(value).unwrap(), json);
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
}

/// What a machine boots.
pub(crate) fn artifact() -> ArtifactRef {
    ArtifactRef {
        kernel_image_url: "file:///images/debian/kernel".parse().unwrap(),
        rootfs_url: "https://images.example/root.img?v=2".parse().unwrap(),
        initrd_url: Some("file:///images/debian/initrd".parse().unwrap()),
        kernel_sha256_hex: Some("a".repeat(64).parse().unwrap()),
        rootfs_sha256_hex: None,
        initrd_sha256_hex: None,
    }
}

/// That as JSON.
pub(crate) fn artifact_json() -> Value {
    json!({
        "kernel_image_url": "file:///images/debian/kernel",
        "rootfs_url": "https://images.example/root.img?v=2",
        "initrd_url": "file:///images/debian/initrd",
        "kernel_sha256_hex": "a".repeat(64),
    })
}

/// A file of a snapshot.
pub(crate) fn manifest() -> SnapshotArtifact {
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

/// That as JSON.
pub(crate) fn manifest_json() -> Value {
    json!({
        "id": "manifest", "kind": "manifest", "name": "manifest.json", "size_bytes": 812, "sha256_hex": "b".repeat(64),
        "object_key": "s/manifest.json",
        "download_url": "https://store.example/s/manifest.json?X-Amz-Signature=1",
    })
}
