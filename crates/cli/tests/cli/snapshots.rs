//! Snapshots to an object store and back, with this program as the control plane.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use contract::restore::{RestoreSnapshotRequest, RestoreSource};
use contract::upload::UploadSnapshotRequest;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended, artifact, machine};
use crate::object_store::{BUCKET, Store};

const MEMORY: usize = (20 << 20) + 5;
const MANIFEST: usize = 812;

fn content(artifact: &str) -> Vec<u8> {
    match artifact {
        "memory" => (0..MEMORY).map(|index| (index % 251) as u8).collect(),
        "manifest" => vec![b'm'; MANIFEST],
        other => panic!("{other}"),
    }
}

/// A snapshot whose digests are known from the second time on that it is looked at.
fn showing() -> axum::routing::MethodRouter {
    let looks = Arc::new(AtomicUsize::new(0));
    get(move || async move {
        let digest =
            if looks.fetch_add(1, Ordering::SeqCst) == 0 { String::new() } else { "a".repeat(64) };
        Json(json!({
            "snapshot": {
                "id": "s.1", "machine_id": "box", "created_at": "2026-11-24T23:17:00Z", "artifact": artifact(),
                "source_runtime_host": "10.0.0.2", "source_tap_device": "tap0",
            },
            "artifacts": [
                {"id": "memory", "size_bytes": MEMORY, "sha256_hex": digest},
                {"id": "manifest", "size_bytes": MANIFEST, "sha256_hex": "b".repeat(64)},
            ],
        }))
    })
}

/// Puts each part by its URL, as a daemon does.
async fn send(Json(request): Json<UploadSnapshotRequest>) -> Json<Value> {
    let http = reqwest_client();
    let mut artifacts = Vec::new();
    for artifact in request.artifacts {
        let content = content(&artifact.artifact_id.to_string());
        let mut completed = Vec::new();
        for part in artifact.parts {
            let start = usize::try_from(part.offset_bytes).unwrap();
            let end = start + usize::try_from(part.size_bytes).unwrap();
            let body = content[start..end].to_vec();
            let answer = http.put(part.upload_url.as_str()).body(body).send().await.unwrap();
            let etag = answer.headers()["etag"].to_str().unwrap();
            completed.push(json!({"part_number": part.part_number, "etag": etag}));
        }
        artifacts.push(json!({"artifact_id": artifact.artifact_id, "completed_parts": completed}));
    }
    Json(json!({"artifacts": artifacts}))
}

fn reqwest_client() -> reqwest::Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}

async fn run(daemon: &Daemon, store: &Store, arguments: &[&str]) -> Ended {
    let bucket = format!("s3://{BUCKET}/boxes");
    let to = ["--bucket", &bucket, "--endpoint", &store.endpoint];
    let credentials = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    daemon.run_with(&[arguments, &to].concat(), &credentials, b"").await
}

#[tokio::test]
async fn a_snapshot_is_uploaded_with_its_index_and_restored_from_it() {
    let store = Store::serve().await;
    let restored = Arc::new(Mutex::new(None));
    let asked = Arc::clone(&restored);
    let restore = move |Json(request): Json<RestoreSnapshotRequest>| async move {
        *asked.lock().unwrap() = Some(request);
        (StatusCode::CREATED, Json(json!({"machine": machine("box-2", "running", "")})))
    };
    let daemon = Daemon::serve(
        Router::new()
            .route("/snapshots/s.1", showing())
            .route("/snapshots/s.1/upload", post(send))
            .route("/snapshots/s.1/restore", post(restore)),
    );

    let ended = run(&daemon, &store, &["snapshot", "upload", "s.1"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["index_key"], "boxes/s.1/snapshot.json");
    {
        let objects = store.objects.lock().unwrap();
        assert!(objects.whole["boxes/s.1/memory.bin"] == content("memory"));
        assert!(objects.whole["boxes/s.1/manifest.json"] == content("manifest"));
        assert_eq!(objects.whole.len(), 3);
        assert!(objects.begun.is_empty());
    }

    let ended = run(
        &daemon,
        &store,
        &["snapshot", "restore", "--snapshot-id", "s.1", "--machine-id", "box-2"],
    )
    .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["machine"]["phase"], "running");
    let request = restored.lock().unwrap().take().unwrap();
    assert_eq!(serde_json::to_value(&request.artifact).unwrap(), artifact());
    let RestoreSource::Durable(durable) = request.source else { panic!("{request:?}") };
    for artifact in durable.artifacts {
        let url = artifact.download_url.unwrap();
        let bytes = reqwest_client().get(url.as_str()).send().await.unwrap().bytes().await.unwrap();
        assert!(bytes == content(&artifact.id.to_string()));
        assert!(artifact.sha256_hex.is_some());
    }
}

#[tokio::test]
async fn promise_p2_an_upload_that_fails_leaves_nothing_in_the_store() {
    let store = Store::serve().await;
    let refuse = || async {
        let body = json!({"error": "the snapshot is quarantined", "code": "quarantined"});
        (StatusCode::UNPROCESSABLE_ENTITY, Json(body))
    };
    let routes = Router::new()
        .route("/snapshots/s.1", showing())
        .route("/snapshots/s.1/upload", post(refuse));
    let daemon = Daemon::serve(routes);

    let ended = run(&daemon, &store, &["snapshot", "upload", "s.1"]).await;

    assert_eq!(ended.code, 1);
    assert_eq!(ended.stderr, "computer: the snapshot is quarantined (422 quarantined)\n");
    let objects = store.objects.lock().unwrap();
    assert!(objects.whole.is_empty() && objects.begun.is_empty());
}

#[tokio::test]
async fn a_snapshot_that_is_not_in_the_store_is_told_so() {
    let store = Store::serve().await;
    let daemon = Daemon::serve(Router::new());
    let ended = run(
        &daemon,
        &store,
        &["snapshot", "restore", "--snapshot-id", "none", "--machine-id", "box"],
    )
    .await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("there is no snapshot at boxes/none/snapshot.json"), "{ended:?}");
}

#[tokio::test]
async fn promise_p11_an_error_of_the_store_shows_no_signature() {
    let routes = Router::new().route("/snapshots/s.1", showing());
    let daemon = Daemon::serve(routes);
    let bucket = format!("s3://{BUCKET}");
    // Nothing listens at port 1.
    let line =
        ["snapshot", "upload", "s.1", "--bucket", &bucket, "--endpoint", "http://127.0.0.1:1"];
    let credentials = [("AWS_ACCESS_KEY_ID", "key-id"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

    let ended = daemon.run_with(&line, &credentials, b"").await;

    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("begin to write s.1/memory.bin"), "{ended:?}");
    for secret in ["Signature", "hunter2", "key-id"] {
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
    let ended = daemon.run_with(&line, &[], b"").await;
    assert!(ended.stderr.contains("set AWS_ACCESS_KEY_ID"), "{ended:?}");
}

#[tokio::test]
async fn a_local_restore_boots_what_the_snapshot_says() {
    let restore = |Json(request): Json<Value>| async move {
        assert_eq!(request["local_snapshot"]["snapshot_id"], "s.1");
        assert_eq!(request["artifact"], artifact());
        assert_eq!((&request["dense"], &request["verify"]), (&json!(true), &json!("full")));
        (StatusCode::CREATED, Json(json!({"machine": machine("box-2", "starting", "")})))
    };
    let routes = Router::new()
        .route("/snapshots/s.1", showing())
        .route("/snapshots/s.1/restore", post(restore));
    let daemon = Daemon::serve(routes);
    let line = ["snapshot", "restore", "--snapshot-id", "s.1", "--machine-id", "box-2"];
    let how = ["--dense", "--verify-full", "--no-wait"];

    let ended = daemon.run(&[&line[..], &how].concat()).await;

    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["machine"]["phase"], "starting");
}
