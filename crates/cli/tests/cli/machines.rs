//! The verbs for machines.

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::daemon::{Daemon, machine};

const URLS: [&str; 4] =
    ["--kernel", "http://images.example/kernel", "--rootfs", "http://images.example/root"];

fn creating(phase: &'static str, error: &'static str) -> Router {
    let create = move |uri: axum::http::Uri, Json(request): Json<Value>| async move {
        assert_eq!(uri.query(), Some("wait=running"));
        let machine = machine(request["machine_id"].as_str().unwrap(), phase, error);
        (StatusCode::CREATED, Json(json!({"machine": machine})))
    };
    Router::new().route("/machines", post(create))
}

#[tokio::test]
async fn a_machine_that_was_made_is_answered_in_json_when_piped() {
    let daemon = Daemon::serve(creating("running", ""));
    let ended = daemon.run(&[&["create", "box"][..], &URLS].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["machine"]["id"], "box");
}

#[tokio::test]
async fn promise_p14_a_machine_that_failed_is_told_with_its_reason() {
    let daemon = Daemon::serve(creating("failed", "the guest panicked"));
    let ended = daemon.run(&[&["create", "box"][..], &URLS].concat()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert_eq!(ended.stderr, "computer: machine box failed: the guest panicked\n");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_before_the_daemon_is_asked() {
    let daemon = Daemon::serve(Router::new());
    let ended = daemon.run(&["create", "box", "--image", "none", "--image-dir", "/no/such"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("there is no image none in /no/such"), "{ended:?}");
}

#[tokio::test]
async fn names_are_listed_for_programs_that_read_no_json() {
    let machines = json!({"machines": [machine("a", "running", ""), machine("b", "stopped", "")]});
    let daemon = Daemon::serve(Router::new().route("/machines", get(|| async { Json(machines) })));
    assert_eq!(daemon.run(&["list", "--quiet"]).await.stdout, "a\nb\n");
    assert_eq!(daemon.run(&["list"]).await.json()["machines"][1]["phase"], "stopped");
}

#[tokio::test]
async fn a_refusal_is_told_as_the_daemon_says_it() {
    let refuse = || async {
        let body = json!({"error": "there is no machine box", "code": "not_found"});
        (StatusCode::NOT_FOUND, Json(body))
    };
    let daemon = Daemon::serve(Router::new().route("/machines/box", get(refuse)));
    let ended = daemon.run(&["show", "box"]).await;
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stderr, "computer: there is no machine box (404 not_found)\n");
}

#[tokio::test]
async fn a_daemon_that_does_not_run_is_told_with_what_to_do() {
    let daemon = Daemon::serve(Router::new());
    let ended = daemon.run_with(&["list"], &[("COMPUTER_SOCKET", "/no/such.sock")], b"").await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("Is computerd running?"), "{ended:?}");
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let daemon = Daemon::serve(Router::new());
    assert_eq!(daemon.run(&["create", "../box"]).await.code, 2);
    assert_eq!(daemon.run(&["exec", "../box", "true"]).await.code, 125);
    let help = daemon.run(&["--help"]).await;
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("computer snapshot upload"), "{}", help.stdout);
    assert!(daemon.run(&["completions", "bash"]).await.stdout.contains("_computer"));
}
