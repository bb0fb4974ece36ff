//! `computer exec`: input, output, exit codes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::routing::{any, post};
use axum::{Json, Router};
use contract::exec_stream::{ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart};
use contract::{ErrorBody, ErrorCode};
use serde_json::json;

use crate::daemon::{Daemon, machine};

const PATH: &str = "/machines/{machine_id}/exec/stream";

async fn tell(socket: &mut WebSocket, event: &ExecEvent) {
    socket.send(Message::text(serde_json::to_string(event).unwrap())).await.unwrap();
}

async fn write(socket: &mut WebSocket, channel: ExecChannel, data: &[u8]) {
    let frame = ExecFrame { channel, data: data.to_vec().into() };
    socket.send(Message::Binary(frame.encode())).await.unwrap();
}

async fn started(socket: &mut WebSocket) -> ExecStart {
    let Some(Ok(Message::Text(text))) = socket.recv().await else { panic!("no start") };
    tell(socket, &ExecEvent::Started { session_id: "s-1".parse().unwrap(), stdin_offset: None })
        .await;
    serde_json::from_str(&text).unwrap()
}

/// Writes its input to its output, a word to its error, and ends with 3.
async fn cat(mut socket: WebSocket) {
    let start = started(&mut socket).await;
    assert!(start.stdin);
    assert_eq!(start.command, ["cat", "-u"]);
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Binary(bytes) => {
                let frame = ExecFrame::decode(bytes).unwrap();
                write(&mut socket, ExecChannel::Stdout, &frame.data).await;
            }
            Message::Text(text) => {
                assert_eq!(
                    serde_json::from_str::<ExecControl>(&text).unwrap(),
                    ExecControl::StdinClose
                );
                break;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
    }
    write(&mut socket, ExecChannel::Stderr, b"done\n").await;
    tell(&mut socket, &ExecEvent::Exited { exit_code: 3, duration_ms: 1 }).await;
}

#[tokio::test]
async fn a_command_gets_the_input_and_its_output_and_end_are_ours() {
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(cat) };
    let daemon = Daemon::serve(Router::new().route(PATH, any(upgrade)));
    let input = "0123456789abcdef".repeat(1 << 16);

    let ended = daemon.run_with(&["exec", "box", "--", "cat", "-u"], &[], input.as_bytes()).await;

    assert_eq!((ended.code, ended.stderr.as_str()), (3, "done\n"));
    assert!(ended.stdout == input, "{} of {} bytes", ended.stdout.len(), input.len());
}

#[tokio::test]
async fn a_command_whose_time_ran_out_ends_with_124() {
    let upgrade = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            assert_eq!(started(&mut socket).await.timeout_ms, Some(1000));
            let error = "the command ran out of time".to_owned();
            tell(&mut socket, &ExecEvent::Error { error, code: ErrorCode::Deadline }).await;
        })
    };
    let daemon = Daemon::serve(Router::new().route(PATH, any(upgrade)));
    let ended = daemon.run(&["exec", "--timeout", "1s", "box", "sleep", "9"]).await;
    assert_eq!(ended.code, 124);
    assert_eq!(ended.stderr, "computer: the command ran out of time\n");
}

#[tokio::test]
async fn a_command_that_cannot_be_run_ends_with_125() {
    let refuse = || async {
        let error = "box has no agent".to_owned();
        let code = ErrorCode::NoAgent;
        (
            StatusCode::CONFLICT,
            axum::Json(ErrorBody { error, code, operation_id: None, partial: None }),
        )
    };
    let daemon = Daemon::serve(Router::new().route(PATH, any(refuse)));
    let ended = daemon.run(&["exec", "box", "true"]).await;
    assert_eq!(ended.code, 125);
    assert_eq!(ended.stderr, "computer: box has no agent (409 no_agent)\n");
}

#[tokio::test]
async fn promise_p4_a_command_goes_on_when_the_daemon_is_started_anew() {
    let connections = Arc::new(AtomicUsize::new(0));
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        let connection = connections.fetch_add(1, Ordering::SeqCst);
        upgrade.on_upgrade(async move |mut socket| {
            let start = started(&mut socket).await;
            if connection == 0 {
                assert_eq!(start.session_id, None);
                write(&mut socket, ExecChannel::Stdout, b"one ").await;
                // The connection breaks here, without a word.
            } else {
                assert_eq!(
                    (start.session_id.as_ref().map(|id| id.as_str()), start.offset),
                    (Some("s-1"), Some(4))
                );
                write(&mut socket, ExecChannel::Stdout, b"two").await;
                tell(&mut socket, &ExecEvent::Exited { exit_code: 0, duration_ms: 1 }).await;
            }
        })
    };
    let daemon = Daemon::serve(Router::new().route(PATH, any(upgrade)));

    let ended = daemon.run(&["exec", "--no-stdin", "box", "count"]).await;

    assert_eq!((ended.code, ended.stdout.as_str()), (0, "one two"), "{ended:?}");
}

#[tokio::test]
async fn the_port_for_other_clients_is_opened_and_told_with_its_machine() {
    let open = || async {
        let mut machine = machine("box", "running", "");
        machine["ports"] =
            json!([{"name": "exec", "port": 49983, "host_port": 50_000, "protocol": "tcp"}]);
        Json(json!({"machine": machine}))
    };
    let daemon = Daemon::serve(Router::new().route("/machines/box/exec-relay", post(open)));
    let ended = daemon.run(&["exec-relay", "box"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["machine"]["ports"][0]["host_port"], 50_000);
    let help = daemon.run(&["help", "exec-relay"]).await;
    assert!(help.stdout.contains("E2B_SANDBOX_URL"), "{help:?}");
}
