use axum::body::Body;
use axum::http::Request;
use contract::artifact::ArtifactId;
use engine::plan::Change;
use engine::record::{SealedArtifact, Snapshot};
use engine::testing::journal;
use serde_json::json;

use super::stub::{Answer, Stub};

async fn with_snapshot() -> Stub {
    let host = Stub::new();
    let memory = SealedArtifact {
        artifact: ArtifactId::Memory,
        size_bytes: 10,
        data_bytes: 10,
        sha256: Some(contract::Sha256Hex::from_bytes(&[1; 32])),
    };
    let snapshot = Snapshot { artifacts: vec![memory], ..journal::a_snapshot() };
    let change = Change::SnapshotAdded { snapshot: Box::new(snapshot) };
    host.api.runner.host().journal.apply(&change).await.unwrap();
    let dir = host.root.join("snapshots/snap");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("memory.bin"), b"0123456789").unwrap();
    host
}

async fn read(host: &Stub, range: Option<&str>) -> Answer {
    let mut request = Request::get("/snapshots/snap/artifacts/memory");
    if let Some(range) = range {
        request = request.header("range", range);
    }
    host.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_artifact_is_read_whole_or_in_part() {
    let host = with_snapshot().await;
    let whole = read(&host, None).await;
    assert_eq!((whole.status.as_u16(), whole.bytes.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!(whole.headers["content-length"], "10");
    assert_eq!(whole.headers["content-disposition"], "attachment; filename=\"memory.bin\"");
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    let part = read(&host, Some("bytes=2-4")).await;
    assert_eq!((part.status.as_u16(), part.bytes.as_slice()), (206, &b"234"[..]));
    assert_eq!(part.headers["content-range"], "bytes 2-4/10");
    let last = read(&host, Some("bytes=-1")).await;
    assert_eq!(last.bytes, b"9");
    let outside = read(&host, Some("bytes=10-")).await;
    assert_eq!((outside.status.as_u16(), outside.code().as_str()), (416, "range_not_satisfiable"));
    assert_eq!(outside.headers["content-range"], "bytes */10");
}

#[tokio::test]
async fn promise_p1_a_link_in_place_of_an_artifact_is_not_followed() {
    let host = with_snapshot().await;
    let path = host.root.join("snapshots/snap/memory.bin");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(read(&host, None).await.status, 500);
}

#[tokio::test]
async fn snapshots_are_listed_of_a_machine_that_is_gone_and_deleted_once() {
    let host = with_snapshot().await;
    let listed = host.get("/machines/box/snapshots").await.json();
    assert_eq!(listed["snapshots"][0]["id"], "snap");
    assert_eq!(host.get("/machines/other/snapshots").await.json(), json!({"snapshots": []}));
    let shown = host.get("/snapshots/snap").await.json();
    assert_eq!(shown["artifacts"][0]["id"], "memory");
    assert_eq!(host.get("/snapshots/snap/artifacts/vmstate").await.status, 404);
    assert_eq!(host.delete("/snapshots/snap").await.status, 204);
    assert_eq!(host.delete("/snapshots/snap").await.status, 404, "unknown is 404");
}

#[tokio::test]
async fn promise_p9_a_snapshot_in_use_is_not_deleted() {
    let host = with_snapshot().await;
    host.yes.never_ends.store(true, std::sync::atomic::Ordering::Relaxed);
    let held = engine::claim::Claim::read_snapshot(&"snap".parse().unwrap());
    let mut operation = journal::an_operation();
    operation.plan.claims = vec![held];
    operation.plan.commit =
        Change::UploadFinished { snapshot: "snap".parse().unwrap(), parts: vec![] };
    operation.plan.hold = engine::plan::Hold::UntilClose;
    // A step that is never through holds the claim.
    operation.plan.prepare = vec![engine::step::Step::ShutDown {
        launch: engine::testing::run("box").launch,
        protocol: contract::machine::GuestProtocol::None,
        deadline_ms: 1,
    }];
    let _ticket = host.api.runner.start(operation).await.unwrap();
    let refused = host.delete("/snapshots/snap").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "in_use"));
}
