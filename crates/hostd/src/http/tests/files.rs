use serde_json::json;

use super::stub::{Stub, a_machine};

#[tokio::test]
async fn promise_p1_paths_are_judged_before_any_guest_is_asked() {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    for path in ["../x", "/etc/passwd", "a/../../b", "a\0b"] {
        for operation in ["read_text", "write_bytes", "remove", "grep", "stat"] {
            let request = json!({"operation": operation, "path": path, "pattern": "x"});
            let refused = host.post("/machines/box/files/ops", &request).await;
            let seen = (refused.status.as_u16(), refused.code());
            assert_eq!(seen, (422, "refused".into()), "{operation} {path:?}");
        }
    }
    let moved = json!({"operation": "move", "path": "a", "to": "../b"});
    assert_eq!(host.post("/machines/box/files/ops", &moved).await.status, 422);
    let outside = host.get("/machines/box/files/content?path=../x").await;
    assert_eq!(outside.status, 422);
}

#[tokio::test]
async fn what_is_malformed_is_400_and_what_is_not_there_404() {
    let host = Stub::new();
    let none = json!({"operation": "stat", "path": ""});
    assert_eq!(host.post("/machines/none/files/ops", &none).await.status, 404);
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    for wrong in [
        json!({}),
        json!({"operation": "format"}),
        json!({"operation": "move", "path": "a"}),
        json!({"operation": "grep", "path": "a", "pattern": null}),
        json!({"operation": "write_bytes", "path": "a", "content_base64": "?"}),
        json!({"operation": "stat", "path": 7}),
    ] {
        let refused = host.post("/machines/box/files/ops", &wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    // The stub's guests have no channel.
    let unreachable = host.post("/machines/box/files/ops", &none).await;
    assert_eq!((unreachable.status.as_u16(), unreachable.code().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn a_guest_without_an_agent_has_no_files() {
    let host = Stub::new();
    let mut machine = a_machine("box");
    machine["guest_protocol"] = json!("none");
    assert_eq!(host.post("/machines?wait=running", &machine).await.status, 201);
    let request = json!({"operation": "list", "path": null});
    let refused = host.post("/machines/box/files/ops", &request).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "no_agent"));
    let refused = host.get("/machines/box/files/watch").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "no_agent"));
}
