use serde_json::{Value, json};

use super::stub::{Stub, a_machine};

async fn with_data() -> Stub {
    let host = Stub::new();
    let request = json!({"volume_id": "data", "size_bytes": 1_u64 << 30});
    assert_eq!(host.post("/volumes", &request).await.status, 201);
    host
}

fn volume(answer: &Value) -> Value {
    let mut volume = answer["volume"].clone();
    assert!(volume["created_at"].take().is_string());
    volume
}

#[tokio::test]
async fn a_volume_is_made_shown_grown_listed_and_deleted() {
    let host = with_data().await;
    let expected = |size_bytes: u64| {
        json!({
            "id": "data", "kind": "user", "size_bytes": size_bytes, "outlives_machine": true,
            "created_at": null,
        })
    };
    assert_eq!(volume(&host.get("/volumes/data").await.json()), expected(1 << 30));
    let again = host.post("/volumes", &json!({"volume_id": "data", "size_bytes": 1 << 30})).await;
    assert_eq!(again.code(), "exists");
    let grown = host.post("/volumes/data/grow", &json!({"size_bytes": 2_u64 << 30})).await;
    assert_eq!((grown.status.as_u16(), volume(&grown.json())), (200, expected(2 << 30)));
    let same = host.post("/volumes/data/grow", &json!({"size_bytes": 2_u64 << 30})).await;
    assert_eq!(same.status, 200);
    let smaller = host.post("/volumes/data/grow", &json!({"size_bytes": 1_u64 << 30})).await;
    assert_eq!(smaller.code(), "refused");
    assert_eq!(host.get("/volumes").await.json()["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(host.delete("/volumes/data").await.status, 204);
    assert_eq!(host.delete("/volumes/data").await.status, 204, "also when unknown");
    assert_eq!(host.get("/volumes/data").await.status, 404);
    assert_eq!(host.get("/volumes").await.json(), json!({"volumes": []}));
    assert_eq!(host.post("/volumes/data/grow", &json!({"size_bytes": 1})).await.status, 404);
}

#[tokio::test]
async fn promise_p9_an_attached_volume_is_not_deleted_nor_attached_twice_and_outlives_its_machine()
{
    let host = with_data().await;
    let mut request = a_machine("box");
    request["user_volume_ids"] = json!(["nothing"]);
    assert_eq!(host.post("/machines", &request).await.status, 404);
    request["user_volume_ids"] = json!(["data"]);
    assert_eq!(host.post("/machines?wait=running", &request).await.status, 201);
    let attached = host.get("/volumes/data").await.json();
    assert_eq!(attached["volume"]["attached_machine_id"], "box");
    assert_eq!(host.delete("/volumes/data").await.code(), "in_use");
    let twice = json!({"machine_id": "box"});
    assert_eq!(host.post("/volumes/data/attach", &twice).await.code(), "busy");
    let running = host.post("/volumes/data/detach", &json!({})).await;
    assert_eq!(running.code(), "wrong_state");
    let restarted = host.post("/volumes/data/detach", &json!({"restart": true})).await;
    assert_eq!(restarted.status, 200);
    assert_eq!(restarted.json()["volume"].get("attached_machine_id"), None);
    assert_eq!(host.post("/machines/box/stop", &json!({})).await.status, 204);
    assert_eq!(host.post("/volumes/data/attach", &twice).await.status, 200);
    let machine = host.get("/machines/box").await.json();
    assert_eq!(machine["machine"]["user_volume_ids"], json!(["data"]));
    assert_eq!(host.delete("/volumes/box-system").await.code(), "in_use");
    assert_eq!(host.delete("/machines/box").await.status, 204);
    let left = host.get("/volumes").await.json();
    assert_eq!(left["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(left["volumes"][0].get("attached_machine_id"), None);
}

#[tokio::test]
async fn a_machine_is_resized_with_what_the_vmm_can_and_with_a_restart_that_is_asked_for() {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    let resize = async |request: Value| host.post("/machines/box/resize", &request).await;
    let larger = resize(json!({"storage_bytes": 20_u64 << 30, "memory_mib": 0})).await;
    assert_eq!(larger.status, 200);
    assert_eq!(larger.json()["machine"]["storage_bytes"], 20_u64 << 30);
    assert_eq!(larger.json()["machine"]["phase"], "running");
    assert_eq!(resize(json!({"storage_bytes": 1_u64 << 30})).await.status, 422);
    assert_eq!(resize(json!({"storage_bytes": 60_u64 << 40})).await.status, 507);
    assert_eq!(resize(json!({"memory_mib": 512})).await.code(), "wrong_state");
    let restarted = resize(json!({"memory_mib": 512, "restart": true})).await;
    assert_eq!(restarted.json()["machine"]["memory_mib"], 512);
    assert_eq!(restarted.json()["machine"]["phase"], "starting");
    assert_eq!(resize(json!({})).await.status, 200, "nothing is to be done");
    assert_eq!(host.post("/machines/none/resize", &json!({})).await.status, 404);
}

#[tokio::test]
async fn a_detach_needs_no_body() {
    let host = with_data().await;
    let request = axum::http::Request::post("/volumes/data/detach");
    let answer = host.ask(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.code(), "wrong_state", "it is attached to no machine");
}
