use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::stub::{Stub, a_machine};

#[tokio::test]
async fn every_error_has_a_body_of_the_contract() {
    let host = Stub::new();
    let put = Request::put("/machines").body(Body::empty()).unwrap();
    let long = Request::post("/machines").body(Body::from("x".repeat(65 << 10))).unwrap();
    let cut = Request::post("/machines").body(Body::from("{\"machine_id\":")).unwrap();
    let empty = Request::post("/machines").body(Body::empty()).unwrap();
    for (request, status, code) in [
        (put, 405, "method_not_allowed"),
        (long, 413, "too_large"),
        (cut, 400, "malformed"),
        (empty, 400, "malformed"),
        (Request::get("/nowhere").body(Body::empty()).unwrap(), 404, "not_found"),
        (Request::get("/machines/box/mounts").body(Body::empty()).unwrap(), 404, "not_found"),
        (Request::get("/operations?key=a%20b").body(Body::empty()).unwrap(), 400, "malformed"),
        (Request::get("/operations/x").body(Body::empty()).unwrap(), 400, "malformed"),
    ] {
        let told = format!("{request:?}");
        let answer = host.ask(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{told}");
        assert!(answer.json()["error"].is_string());
        assert_eq!(answer.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn promise_p1_hostile_identifiers_never_come_further_than_the_edge() {
    let host = Stub::new();
    let longest = "a".repeat(300);
    for id in ["..", "%2e%2e", "a%2Fb", "a%00", "a%0a", "%ff", ".", longest.as_str()] {
        for path in [format!("/machines/{id}"), format!("/snapshots/{id}")] {
            let answer = host.delete(&path).await;
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {}", answer.status);
        }
        let artifact = host.get(&format!("/snapshots/snap/artifacts/{id}")).await;
        assert!(matches!(artifact.status.as_u16(), 400 | 404), "{id}");
    }
    let mut request = a_machine("box");
    request["machine_id"] = json!("../box");
    assert_eq!(host.post("/machines", &request).await.code(), "malformed");
    let mut request = a_machine("box");
    request["artifact"]["rootfs_url"] = json!("file:///etc/shadow");
    assert_eq!(host.post("/machines", &request).await.code(), "forbidden");
}

#[tokio::test]
async fn decoding_forgives_what_clients_leave_unset() {
    let host = Stub::new();
    let mut request = a_machine("box");
    request["vcpus"] = json!(0);
    request["guest_protocol"] = json!("");
    request["guest_config"] = json!({"hostname": "", "login_webhook": {"url": ""}});
    request["something_new"] = json!([1]);
    let created = host.post("/machines?wait=", &request).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["machine"]["vcpus"], 2);
}

#[tokio::test]
async fn promise_p6_a_restore_that_cannot_be_verified_is_refused_before_it_is_planned() {
    let host = Stub::new();
    let artifact = a_machine("box")["artifact"].clone();
    let durable = |artifacts: serde_json::Value| json!({"machine_id": "box", "artifact": artifact, "snapshot": {"snapshot_id": "snap", "artifacts": artifacts}});
    let none = host.post("/snapshots/snap/restore", &durable(json!([]))).await;
    assert_eq!((none.status.as_u16(), none.code().as_str()), (422, "unverifiable"));
    let manifest = json!([{"id": "manifest", "size_bytes": 1, "sha256_hex": "0".repeat(64), "download_url": "http://store.test/m"}]);
    let upstream = host.post("/snapshots/snap/restore", &durable(manifest)).await;
    assert_eq!((upstream.status.as_u16(), upstream.code().as_str()), (502, "upstream"));
    let other = host.post("/snapshots/other/restore", &durable(json!([]))).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "refused"));
    let local = json!({"machine_id": "box", "artifact": artifact, "local_snapshot": {"snapshot_id": "snap"}});
    assert_eq!(host.post("/snapshots/snap/restore", &local).await.status, 404);
    assert_eq!(host.get("/machines").await.json(), json!({"machines": []}));
}
