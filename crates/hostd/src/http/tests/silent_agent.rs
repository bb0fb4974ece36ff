//! An agent that takes a connection and never says a word: every call ends at its deadline, a minute for files, and nobody else
//! waits for it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::stub::{Answer, Stub, a_machine, answer};

/// A host with a machine whose agent is silent.
struct Silent {
    host: Stub,
    agent: JoinHandle<()>,
}

impl Silent {
    async fn start() -> Self {
        let host = Stub::new();
        assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
        let dir = host.root.join("machines/box");
        std::fs::create_dir_all(&dir).unwrap();
        let listener = UnixListener::bind(dir.join("agent.sock")).unwrap();
        let agent = tokio::spawn(async move {
            let mut taken = vec![];
            while let Ok((connection, _peer)) = listener.accept().await {
                taken.push(connection);
            }
        });
        Self { host, agent }
    }

    /// Asks on a task of its own, as another caller would.
    fn ask(&self, request: Request<Body>) -> JoinHandle<Answer> {
        tokio::spawn(answer(self.host.router(), request))
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> JoinHandle<Answer> {
        self.ask(Request::post(path).body(Body::from(body.to_string())).unwrap())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.agent.abort();
    }
}

/// As a caller sees it.
fn seen(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[tokio::test]
async fn promise_p14_calls_to_an_agent_that_never_answers_end_with_504_and_hold_up_nobody() {
    let silent = Silent::start().await;
    let exec = silent.post("/machines/box/exec", &json!({"command": ["true"], "timeout_ms": 1500}));
    let files = silent.post("/machines/box/files/ops", &json!({"operation": "stat", "path": "f"}));
    let content = Request::get("/machines/box/files/content?path=f").body(Body::empty()).unwrap();
    let content = silent.ask(content);
    let sessions =
        silent.ask(Request::get("/machines/box/exec/sessions").body(Body::empty()).unwrap());
    let watch = Request::get("/machines/box/files/watch").body(Body::empty()).unwrap();
    let watch = silent.ask(watch);

    assert_eq!(silent.host.get("/machines/box").await.status, 200);
    assert_eq!(silent.host.get("/health").await.status, 200);

    let exec = exec.await.unwrap();
    assert_eq!(seen(&exec), (504, "deadline".into()));
    assert_eq!((&exec.json()["stdout"], &exec.json()["stderr"]), (&json!(""), &json!("")));
    assert!(exec.json()["duration_ms"].is_u64());
    for call in [files, content, sessions, watch] {
        assert_eq!(seen(&call.await.unwrap()), (504, "deadline".into()));
    }
    assert_eq!(silent.host.delete("/machines/box").await.status, 204);
}

#[tokio::test]
async fn a_change_of_files_under_way_is_told_by_its_operation_until_it_is_recorded() {
    let silent = Silent::start().await;
    let change = json!({"operation": "write_text", "path": "f", "content": "one"});
    let keyed = |key: &str, body: &serde_json::Value| {
        let request = Request::post("/machines/box/files/ops").header("idempotency-key", key);
        request.body(Body::from(body.to_string())).unwrap()
    };
    let mut first = silent.ask(keyed("k", &change));
    let operations =
        async || silent.host.get("/operations?key=k").await.json()["operations"].clone();
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let found = operations().await;
            if found != json!([]) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    });
    let found = found.await.unwrap()[0].clone();
    assert_eq!((&found["kind"], &found["state"]), (&json!("change_files"), &json!("running")));
    assert_eq!((&found["resource_id"], &found["key"]), (&json!("box"), &json!("k")));

    let again = silent.host.ask(keyed("k", &change)).await;
    assert_eq!(seen(&again), (409, "in_progress".into()));
    assert_eq!(
        (&again.json()["operation_id"], again.operation()),
        (&found["id"], found["id"].as_str().unwrap().into())
    );
    assert_eq!(again.headers["retry-after"], "1");
    let other = json!({"operation": "write_text", "path": "f", "content": "two"});
    let other = silent.host.ask(keyed("k", &other)).await;
    assert_eq!(
        (seen(&other), &other.json()["operation_id"]),
        ((422, "key_reused".into()), &found["id"])
    );
    let shown = silent.host.get(&format!("/operations/{}", found["id"].as_str().unwrap())).await;
    assert_eq!(shown.json()["operation"], found);

    // A body that streams in: nobody knows yet what it will be.
    let endless = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let put = |body| {
        let request = Request::put("/machines/box/files/content?path=g");
        request.header("idempotency-key", "stream").body(body).unwrap()
    };
    let streaming = silent.ask(put(Body::from_stream(endless)));
    let second = tokio::time::timeout(Duration::from_secs(30), async {
        while silent.host.get("/operations?key=stream").await.json()["operations"] == json!([]) {
            tokio::task::yield_now().await;
        }
        silent.host.ask(put(Body::empty())).await
    });
    let second = second.await.unwrap();
    assert_eq!(seen(&second), (409, "in_progress".into()));
    assert!(second.json()["operation_id"].is_string());

    assert_eq!(seen(&(&mut first).await.unwrap()), (504, "deadline".into()));
    assert_eq!(seen(&streaming.await.unwrap()), (504, "deadline".into()));
    // It did not commit: the key is free.
    assert_eq!(operations().await, json!([]));
}
