//! The verbs for volumes, sizes and room.

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::daemon::{Daemon, machine};

fn volume(id: &Value, size_bytes: &Value) -> Value {
    json!({
        "id": id, "kind": "user", "size_bytes": size_bytes, "outlives_machine": true,
        "created_at": "2026-11-24T23:17:00Z",
    })
}

#[tokio::test]
async fn a_volume_is_made_attached_and_listed() {
    let create = |Json(request): Json<Value>| async move {
        let volume = volume(&request["volume_id"], &request["size_bytes"]);
        (StatusCode::CREATED, Json(json!({"volume": volume})))
    };
    let attach = |Json(request): Json<Value>| async move {
        assert_eq!(request, json!({"machine_id": "box", "restart": true}));
        Json(json!({"volume": volume(&json!("data"), &json!(1))}))
    };
    let list = || async { Json(json!({"volumes": []})) };
    let routes = Router::new()
        .route("/volumes", get(list).post(create))
        .route("/volumes/data/attach", post(attach));
    let daemon = Daemon::serve(routes);
    let made = daemon.run(&["volume", "create", "data", "--size", "1G"]).await;
    assert_eq!(made.json()["volume"]["size_bytes"], 1 << 30, "{made:?}");
    let attached = daemon.run(&["volume", "attach", "data", "box", "--restart"]).await;
    assert_eq!(attached.code, 0, "{attached:?}");
    assert_eq!(daemon.run(&["volume", "list"]).await.json(), json!({"volumes": []}));
}

#[tokio::test]
async fn a_machine_is_resized_in_the_units_of_people() {
    let resize = |Json(request): Json<Value>| async move {
        assert_eq!(request, json!({"memory_mib": 2048, "storage_bytes": 21_474_836_480_u64}));
        Json(json!({"machine": machine("box", "running", "")}))
    };
    let daemon = Daemon::serve(Router::new().route("/machines/box/resize", post(resize)));
    let ended = daemon.run(&["resize", "box", "--memory", "2G", "--storage", "20G"]).await;
    assert_eq!(ended.json()["machine"]["id"], "box", "{ended:?}");
    assert_eq!(daemon.run(&["resize", "box"]).await.code, 2, "no size is given");
}

#[tokio::test]
async fn what_takes_room_is_answered_as_the_daemon_does() {
    let report = json!({"report": {
        "generated_at": "2026-11-24T23:17:00Z", "total_bytes": 5, "published_ports": 1,
        "pools": [{"pool": "state", "bytes": 5}], "machines": [], "snapshots": [],
    }});
    let answer = report.clone();
    let routes = Router::new().route("/storage/report", get(|| async { Json(answer) }));
    let ended = Daemon::serve(routes).run(&["storage"]).await;
    assert_eq!(ended.json(), report);
}
