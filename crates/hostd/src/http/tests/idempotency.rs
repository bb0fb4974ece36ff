use std::sync::atomic::Ordering;

use serde_json::json;

use super::stub::{Stub, a_machine};

#[tokio::test]
async fn the_same_key_and_body_is_answered_as_the_first_time() {
    let host = Stub::new();
    let first = host.post_with_key("/machines", "k", &a_machine("box")).await;
    let again = host.post_with_key("/machines", "k", &a_machine("box")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.operation(), again.operation());
    assert_eq!(first.json(), again.json(), "starting included");
    let found = host.get("/operations?key=k").await.json();
    assert_eq!(found["operations"][0]["id"], first.operation());
    assert_eq!(found["operations"][0]["key"], "k");
    assert_eq!(host.get("/operations?key=other").await.json(), json!({"operations": []}));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let host = Stub::new();
    let first = host.post_with_key("/machines", "k", &a_machine("box")).await;
    let other = host.post_with_key("/machines", "k", &a_machine("other")).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "key_reused"));
    assert_eq!(other.json()["operation_id"], first.operation());
    assert_eq!(host.get("/machines/other").await.status, 404);
}

#[tokio::test]
async fn what_did_not_commit_is_run_anew() {
    let host = Stub::new();
    host.yes.launch_fails.store(true, Ordering::Relaxed);
    let failed = host.post_with_key("/machines", "k", &a_machine("box")).await;
    assert_eq!(failed.status, 507);
    host.yes.launch_fails.store(false, Ordering::Relaxed);
    let anew = host.post_with_key("/machines", "k", &a_machine("box")).await;
    assert_eq!(anew.status, 201);
    assert_ne!(anew.operation(), failed.operation());
}

#[tokio::test]
async fn an_operation_under_way_is_told_with_its_id() {
    let host = Stub::new();
    let operation = engine::testing::journal::an_operation();
    let key = operation.key.clone().unwrap();
    host.api.runner.host().journal.begin(&operation).await.unwrap();
    // Its request is not ours: another body.
    let other = host.post_with_key("/machines", key.as_str(), &a_machine("box")).await;
    assert_eq!(other.code(), "key_reused");
    let first = host.post_with_key("/machines", "k", &a_machine("one")).await;
    let mut begun = host
        .api
        .runner
        .host()
        .journal
        .operation(&first.operation().parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    begun.id = engine::testing::operation(77);
    begun.key = Some("open".parse().unwrap());
    begun.state = contract::operation::OperationState::Running;
    host.api.runner.host().journal.begin(&begun).await.unwrap();
    let told = host.post_with_key("/machines", "open", &a_machine("one")).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (409, "in_progress"));
    assert_eq!(told.json()["operation_id"], begun.id.as_str());
    assert_eq!(told.headers["retry-after"], "1");
}

#[tokio::test]
async fn an_answer_is_repeated_even_when_what_it_came_from_is_gone() {
    let host = Stub::new();
    host.post("/machines?wait=running", &a_machine("box")).await;
    let body = json!({"snapshot_id": "snap"});
    let first = host.post_with_key("/machines/box/snapshots", "k", &body).await;
    assert_eq!(first.status, 201);
    host.delete("/machines/box").await;
    let again = host.post_with_key("/machines/box/snapshots", "k", &body).await;
    assert_eq!((again.status.as_u16(), again.json()), (201, first.json()));
}
