//! The verbs for published ports.

use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::daemon::Daemon;

fn published(request: &Value) -> Value {
    json!({
        "id": request["published_port_id"], "machine_id": "box", "name": request["name"],
        "port": request["port"], "host_port": 20_000, "protocol": "tcp", "http": request["http"],
        "created_at": "2026-11-24T23:17:00Z",
    })
}

#[tokio::test]
async fn a_port_is_published_under_an_id_of_its_own_listed_and_removed() {
    let path = "/machines/{machine}/published-ports";
    let publish = |Json(request): Json<Value>| async move {
        (StatusCode::CREATED, Json(json!({"port": published(&request)})))
    };
    let list = || async { Json(json!({"ports": []})) };
    let remove = || async { StatusCode::NO_CONTENT };
    let routes = Router::new()
        .route(path, post(publish).get(list))
        .route(&format!("{path}/{{port}}"), delete(remove));
    let daemon = Daemon::serve(routes);
    let ended = daemon.run(&["port", "publish", "box", "8080", "--name", "web", "--http"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let port = &ended.json()["port"];
    assert_eq!((&port["id"], &port["http"]), (&json!("port-8080"), &json!(true)));
    assert_eq!(daemon.run(&["port", "list", "box"]).await.json(), json!({"ports": []}));
    let removed = daemon.run(&["port", "remove", "box", "port-8080"]).await;
    assert_eq!(removed.json(), json!({"removed": ["port-8080"]}));
    assert_eq!(daemon.run(&["port", "publish", "box", "0"]).await.code, 2);
}
