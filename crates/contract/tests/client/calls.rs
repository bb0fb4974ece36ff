//! Calls with a whole answer, and the bytes of artifacts.

use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use contract::client::{ByteRange, Client, ClientError};
use contract::endpoint::Endpoint;
use contract::endpoint::table::{
    CreateMachine, ListMachines, ReadArtifact, ShowMachine, StopMachine,
};
use contract::machine::CreateMachineRequest;
use contract::operation::{IdempotencyKey, Wait, WaitQuery};
use contract::{ArtifactId, ErrorCode, MachineId, Secret};
use serde_json::{Value, json};

use crate::host::{machine, on_tcp, on_unix};

fn box_id() -> MachineId {
    "box".parse().unwrap()
}

fn request() -> CreateMachineRequest {
    serde_json::from_value(json!({"machine_id": "box", "artifact": machine("box")["artifact"]}))
        .unwrap()
}

#[tokio::test]
async fn a_call_sends_path_query_body_and_key_and_reads_the_answer() {
    let routes = Router::new().route(
        CreateMachine::PATH,
        post(|query: Query<WaitQuery>, headers: HeaderMap, Json(body): Json<Value>| async move {
            assert_eq!(query.wait, Some(Wait::Running));
            assert_eq!(headers["idempotency-key"], "k-1");
            assert_eq!(headers["content-type"], "application/json");
            let id = body["machine_id"].as_str().unwrap().to_owned();
            let operation = [("operation-id", "01aryz6s410000000000000000")];
            (StatusCode::CREATED, operation, Json(json!({"machine": machine(&id)})))
        }),
    );
    let host = on_unix(routes);

    let answer = host
        .client
        .call(CreateMachine, &())
        .query(&WaitQuery { wait: Some(Wait::Running) })
        .key("k-1".parse::<IdempotencyKey>().unwrap())
        .body(&request())
        .send()
        .await
        .unwrap();

    assert_eq!(answer.value.machine.id, box_id());
    assert_eq!(answer.operation_id.unwrap().as_str(), "01aryz6s410000000000000000");
}

#[tokio::test]
async fn promise_p11_the_token_goes_over_tcp_and_is_not_shown() {
    let routes = Router::new().route(
        ListMachines::PATH,
        get(|headers: HeaderMap| async move {
            assert_eq!(headers["authorization"], "Bearer hunter2");
            Json(json!({"machines": []}))
        }),
    );
    let host = on_tcp(routes).await;

    let client = host.client.clone().with_token(&Secret::new("hunter2")).unwrap();

    assert_eq!(client.list_machines().await.unwrap(), []);
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_refusal_is_read_with_its_code_and_operation() {
    let body = json!({"error": "the key is in use", "code": "in_progress", "operation_id": "01aryz6s410000000000000000"});
    let routes = Router::new().route(
        StopMachine::PATH,
        post(|| async move { (StatusCode::CONFLICT, [("retry-after", "2")], Json(body)) }),
    );
    let host = on_unix(routes);

    let error = host.client.stop_machine(&box_id()).await.unwrap_err();

    assert_eq!(error.code(), Some(ErrorCode::InProgress));
    assert_eq!(error.to_string(), "the key is in use (409 in_progress)");
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(refusal.operation_id.as_ref().unwrap().as_str(), "01aryz6s410000000000000000");
}

#[tokio::test]
async fn an_empty_answer_is_success_where_none_is_expected() {
    let routes = Router::new().route(StopMachine::PATH, post(|| async { StatusCode::NO_CONTENT }));
    on_unix(routes).client.stop_machine(&box_id()).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_something_else_than_a_host_is_unexpected() {
    let routes = Router::new()
        .route(ShowMachine::PATH, get(|| async { (StatusCode::BAD_GATEWAY, "<html>") }))
        .route(ListMachines::PATH, get(|| async { "it works" }));
    let host = on_unix(routes);

    let error = host.client.show_machine(&box_id()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unexpected { status: StatusCode::BAD_GATEWAY, .. }),
        "{error:?}"
    );
    let error = host.client.list_machines().await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { status: StatusCode::OK, .. }), "{error:?}");
}

#[tokio::test]
async fn promise_p14_a_call_ends_at_its_deadline() {
    let routes = Router::new().route(ShowMachine::PATH, get(std::future::pending::<()>));
    let host = on_unix(routes);

    let call = host.client.call(ShowMachine, &box_id()).deadline(Duration::from_millis(20));
    let error = call.send().await.unwrap_err();

    assert!(matches!(error, ClientError::Deadline { call: "ShowMachine", .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::unix(directory.path().join("none.sock"));
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn the_bytes_of_an_artifact_come_whole_or_in_a_range() {
    let routes = Router::new().route(
        ReadArtifact::PATH,
        get(|Path(path): Path<<ReadArtifact as Endpoint>::Path>, headers: HeaderMap| async move {
            assert_eq!((path.0.as_str(), path.1), ("s.1", ArtifactId::DiskUser(1)));
            match headers.get("range").map(|range| range.to_str().unwrap()) {
                None => (StatusCode::OK, "0123456789"),
                Some("bytes=2-4") => (StatusCode::PARTIAL_CONTENT, "234"),
                // Ranges that it does not know it ignores, as a host may.
                Some(_) => (StatusCode::OK, "0123456789"),
            }
        }),
    );
    let host = on_unix(routes);
    let snapshot = "s.1".parse().unwrap();
    let read = async |range| {
        let mut stream =
            host.client.read_artifact(&snapshot, ArtifactId::DiskUser(1), range).await?;
        let length = stream.length_bytes();
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await? {
            bytes.extend_from_slice(&piece);
        }
        assert_eq!(length, Some(bytes.len() as u64));
        Ok::<_, ClientError>(bytes)
    };

    assert_eq!(read(ByteRange::default()).await.unwrap(), b"0123456789");
    assert_eq!(read(ByteRange { first: 2, last: Some(4) }).await.unwrap(), b"234");
    let error = read(ByteRange { first: 5, last: None }).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { .. }), "{error:?}");
}
