use serde_json::json;

use super::stub::{Stub, a_machine};

fn a_mount(id: &str, target: &str) -> serde_json::Value {
    json!({
        "mount_id": id, "kind": "s3", "target_path": target, "read_only": false,
        "config": {"bucket": "b", "access_key_id": "id", "secret_access_key": "hunter2"}
    })
}

#[tokio::test]
async fn promise_p11_a_mount_is_listed_without_its_secret_until_it_is_deleted() {
    let host = Stub::new();
    assert_eq!(host.get("/machines/box/mounts").await.status, 404);
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    assert_eq!(host.get("/machines/box/mounts").await.json(), json!({"mounts": []}));

    let created = host.post("/machines/box/mounts", &a_mount("data", "/mnt/data")).await;
    assert_eq!(created.status, 201);
    let mount = &created.json()["mount"];
    assert_eq!(mount["status"], "pending");
    assert_eq!((&mount["status_message"], &mount["machine_id"]), (&json!(""), &json!("box")));
    assert_eq!(mount["config"]["secret_access_key"], "");
    assert_eq!(host.get("/machines/box/mounts").await.json()["mounts"], json!([mount]));
    let operation = host.get(&format!("/operations/{}", created.operation())).await;
    assert_eq!(operation.json()["operation"]["kind"], "create_mount");

    let again = host.post("/machines/box/mounts", &a_mount("data", "/mnt/other")).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "exists"));
    let wrong = host.post("/machines/box/mounts", &a_mount("other", "/etc")).await;
    assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (422, "refused"));

    assert_eq!(host.delete("/machines/box/mounts/data").await.status, 204);
    assert_eq!(host.delete("/machines/box/mounts/data").await.status, 204, "also when unknown");
    assert_eq!(host.delete("/machines/none/mounts/data").await.status, 204);
    assert_eq!(host.get("/machines/box/mounts").await.json(), json!({"mounts": []}));
}

#[tokio::test]
async fn a_mount_that_is_asked_for_again_with_its_key_is_answered_again() {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    let mount = a_mount("data", "/mnt/data");
    let first = host.post_with_key("/machines/box/mounts", "k", &mount).await;
    let again = host.post_with_key("/machines/box/mounts", "k", &mount).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(again.json(), first.json());
    assert_eq!(again.operation(), first.operation());
}
