use std::sync::atomic::Ordering;

use serde_json::json;

use super::stub::{Stub, a_machine};

#[tokio::test]
async fn a_machine_is_created_shown_listed_stopped_started_and_deleted() {
    let host = Stub::new();
    let created = host.post("/machines", &a_machine("box")).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["machine"]["phase"], "starting");
    let operation = host.get(&format!("/operations/{}", created.operation())).await.json();
    assert_eq!(operation["operation"]["kind"], "create_machine");
    assert_eq!(operation["operation"]["state"], "committed");
    assert_eq!(operation["operation"]["status"], 201);

    let waited = host.post("/machines/box/start?wait=running", &json!({})).await;
    assert_eq!(waited.status, 200);
    let running = host.get("/machines/box").await.json();
    assert_eq!(waited.json(), running);
    assert_eq!(running["machine"]["phase"], "running");
    assert_eq!(running["machine"]["identity"], "confirmed");
    assert_eq!(host.get("/machines").await.json()["machines"], json!([running["machine"]]));

    assert_eq!(host.post("/machines/box/stop", &json!(null)).await.status, 204);
    let stopped = host.get("/machines/box").await.json();
    assert_eq!(stopped["machine"]["phase"], "stopped");
    assert_eq!(stopped["machine"]["runtime_host"], "");
    assert_eq!(host.post("/machines/box/stop", &json!({})).await.status, 204, "a no-op");
    let started = host.post("/machines/box/start?wait=running", &json!({})).await;
    assert_eq!(started.json()["machine"]["phase"], "running");

    assert_eq!(host.delete("/machines/box").await.status, 204);
    assert_eq!(host.delete("/machines/box").await.status, 204, "also when unknown");
    assert_eq!(host.get("/machines/box").await.status, 404);
    assert_eq!(host.get("/machines").await.json(), json!({"machines": []}));
}

#[tokio::test]
async fn promise_p2_a_create_that_failed_leaves_its_name_free() {
    let host = Stub::new();
    host.yes.launch_fails.store(true, Ordering::Relaxed);
    let failed = host.post("/machines", &a_machine("box")).await;
    assert_eq!((failed.status.as_u16(), failed.code().as_str()), (507, "no_room"));
    assert_eq!(failed.json()["operation_id"], failed.operation());
    let operation = host.get(&format!("/operations/{}", failed.operation())).await.json();
    assert_eq!(operation["operation"]["state"], "undone");
    assert_eq!(operation["operation"]["status"], 507);
    host.yes.launch_fails.store(false, Ordering::Relaxed);
    assert_eq!(host.post("/machines", &a_machine("box")).await.status, 201);
}

#[tokio::test]
async fn an_id_that_exists_is_refused_without_a_key() {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    let again = host.post("/machines", &a_machine("box")).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "exists"));
}

#[tokio::test]
async fn promise_p13_what_does_not_fit_is_refused_before_anything_is_made() {
    let host = Stub::new();
    let mut request = a_machine("box");
    request["memory_mib"] = json!(128 << 10);
    let refused = host.post("/machines", &request).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (507, "no_room"));
    assert_eq!(host.get("/operations").await.json(), json!({"operations": []}));
}

#[tokio::test]
async fn commands_need_a_machine_that_runs_and_has_an_agent() {
    let host = Stub::new();
    let command = json!({"command": ["true"]});
    assert_eq!(host.post("/machines/box/exec", &command).await.status, 404);
    let mut request = a_machine("box");
    request["guest_protocol"] = json!("none");
    host.post("/machines?wait=running", &request).await;
    assert_eq!(host.post("/machines/box/exec", &command).await.code(), "no_agent");
    host.post("/machines?wait=running", &a_machine("other")).await;
    host.post("/machines/other/stop", &json!({})).await;
    assert_eq!(host.post("/machines/other/exec", &command).await.code(), "wrong_state");
    let none = host.post("/machines/other/exec", &json!({"command": []})).await;
    assert_eq!((none.status.as_u16(), none.code().as_str()), (400, "malformed"));
}
