//! `computer cp`: what goes over the wire, and what is made here.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use contract::file_stream::WriteFileQuery;
use contract::{ErrorBody, ErrorCode};
use serde_json::{Value, json};

use crate::daemon::Daemon;

type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A machine with a directory `d` that holds `a`, and a file `f`.
fn machine(seen: &Seen) -> Router {
    let stat = async |axum::Json(request): axum::Json<Value>| {
        let kind = match request["path"].as_str().unwrap_or("") {
            "d" => "directory",
            "f" => "file",
            _ => {
                let error = "no file".to_owned();
                let code = ErrorCode::NotFound;
                let body = ErrorBody { error, code, operation_id: None, partial: None };
                return (StatusCode::NOT_FOUND, axum::Json(serde_json::to_value(body).unwrap()));
            }
        };
        (StatusCode::OK, axum::Json(json!({"stat": {"path": "x", "type": kind}})))
    };
    let take = |seen: Seen| {
        async move |Query(query): Query<WriteFileQuery>, request: Request| {
            let sent = to_bytes(request.into_body(), 1 << 20).await.unwrap().to_vec();
            seen.lock().unwrap().push((format!("{}:{:?}", query.path, query.mode), sent));
            axum::Json(json!({"stat": {"path": query.path, "type": "file"}}))
        }
    };
    let archive = async || {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o755);
        builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        Bytes::from(builder.into_inner().unwrap())
    };
    let shown = async || axum::Json(json!({"machine": Value::Null}));
    Router::new()
        .route("/machines/{id}/files/ops", post(stat))
        .route("/machines/{id}", get(shown))
        .route("/machines/{id}/files/content", get(async || "content").put(take(Arc::clone(seen))))
        .route("/machines/{id}/files/archive", get(archive).put(take(Arc::clone(seen))))
}

#[tokio::test]
async fn files_and_directories_come_out() {
    let daemon = Daemon::serve(machine(&Seen::default()));
    let here = tempfile::tempdir().unwrap();
    let target = here.path().to_str().unwrap();

    let ended = daemon.run(&["cp", "box:f", target]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(std::fs::read_to_string(here.path().join("f")).unwrap(), "content");

    let ended = daemon.run(&["cp", "box:d", target]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(std::fs::read_to_string(here.path().join("d/a")).unwrap(), "abc");
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 2, "nothing else is left");
}

#[tokio::test]
async fn files_directories_and_pipes_go_in() {
    let seen = Seen::default();
    let daemon = Daemon::serve(machine(&seen));
    let here = tempfile::tempdir().unwrap();
    let (file, directory) = (here.path().join("local"), here.path().join("tree"));
    std::fs::write(&file, "local content").unwrap();
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("leaf"), "leaf").unwrap();

    let ended = daemon.run(&["cp", file.to_str().unwrap(), "box:d"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = daemon.run_with(&["cp", "-", "box:p"], &[], b"an archive").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let seen_so_far = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(
        seen_so_far,
        [
            ("d/local:Some(420)".into(), b"local content".to_vec()),
            ("p:None".into(), b"an archive".to_vec())
        ]
    );

    // Nothing is there, and neither is a machine that can be shown.
    let ended = daemon.run(&["cp", directory.to_str().unwrap(), "box:new"]).await;
    assert_ne!(ended.code, 0);
    let ended = daemon.run(&["cp", directory.to_str().unwrap(), "box:d"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = seen.lock().unwrap().pop().unwrap();
    assert_eq!(sent.0, "d/tree:None");
    let mut archive = tar::Archive::new(&sent.1[..]);
    let leaf = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.path().unwrap().ends_with("leaf"));
    let mut content = String::new();
    leaf.unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "leaf");
}

#[tokio::test]
async fn a_copy_is_between_this_host_and_a_machine() {
    let daemon = Daemon::serve(Router::new());
    for ends in [["a", "b"], ["-", "-"], ["box:a", "box:b"], ["-", "b"]] {
        let ended = daemon.run(&["cp", ends[0], ends[1]]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
    }
}
