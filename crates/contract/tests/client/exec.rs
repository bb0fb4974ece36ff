//! Commands over a WebSocket.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::routing::any;
use bytes::Bytes;
use contract::client::{ClientError, ExecReceived};
use contract::endpoint::Endpoint;
use contract::endpoint::table::ExecStream;
use contract::exec_stream::{ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart};
use contract::{ErrorBody, ErrorCode};

use crate::host::on_unix;

fn event(event: &ExecEvent) -> Message {
    Message::text(serde_json::to_string(event).unwrap())
}

/// A host on which every command writes its input to its output and ends with the length of it.
async fn echo(mut socket: WebSocket) {
    let Some(Ok(Message::Text(start))) = socket.recv().await else { panic!("no start") };
    let start: ExecStart = serde_json::from_str(&start).unwrap();
    assert_eq!(start.command, ["cat"]);
    let mut length = 0;
    socket
        .send(event(&ExecEvent::Started { session_id: "s-1".parse().unwrap(), stdin_offset: None }))
        .await
        .unwrap();
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Binary(bytes) => {
                let frame = ExecFrame::decode(bytes).unwrap();
                assert_eq!(frame.channel, ExecChannel::Stdin);
                length += frame.data.len();
                let output = ExecFrame { channel: ExecChannel::Stdout, data: frame.data };
                socket.send(Message::Binary(output.encode())).await.unwrap();
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
    let exit_code = i32::try_from(length).unwrap();
    socket.send(event(&ExecEvent::Exited { exit_code, duration_ms: 1 })).await.unwrap();
    socket.send(Message::Close(None)).await.unwrap();
}

#[tokio::test]
async fn input_goes_to_the_command_and_output_and_end_come_back() {
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) };
    let host = on_unix(Router::new().route(ExecStream::PATH, any(upgrade)));
    let start = ExecStart { command: vec!["cat".into()], stdin: true, ..ExecStart::default() };

    let mut command = host.client.exec_stream(&"box".parse().unwrap(), &start).await.unwrap();
    let sending = async {
        command.sender.keep_alive().await.unwrap();
        command.sender.input(Bytes::from(vec![7; 100_000])).await.unwrap();
        command.sender.control(&ExecControl::StdinClose).await.unwrap();
    };
    let receiving = async {
        let mut output = Vec::new();
        let mut events = Vec::new();
        while let Some(received) = command.receiver.next().await.unwrap() {
            match received {
                ExecReceived::Output(frame) => output.extend_from_slice(&frame.data),
                ExecReceived::Event(event) => events.push(event),
            }
        }
        (output, events)
    };
    let ((), (output, events)) = tokio::join!(sending, receiving);

    assert_eq!(output, vec![7; 100_000]);
    assert_eq!(
        events,
        [
            ExecEvent::Started { session_id: "s-1".parse().unwrap(), stdin_offset: None },
            ExecEvent::Exited { exit_code: 100_000, duration_ms: 1 },
        ]
    );
}

#[tokio::test]
async fn a_machine_without_an_agent_is_a_refusal() {
    let refuse = || async {
        let body = ErrorBody {
            error: "box has no agent".into(),
            code: ErrorCode::NoAgent,
            operation_id: None,
            partial: None,
        };
        (StatusCode::CONFLICT, axum::Json(body))
    };
    let host = on_unix(Router::new().route(ExecStream::PATH, any(refuse)));

    let error =
        host.client.exec_stream(&"box".parse().unwrap(), &ExecStart::default()).await.unwrap_err();

    assert_eq!(error.code(), Some(ErrorCode::NoAgent));
}

#[tokio::test]
async fn an_answer_that_accepts_nothing_is_unexpected() {
    let host = on_unix(Router::new().route(ExecStream::PATH, any(|| async { StatusCode::OK })));
    let error =
        host.client.exec_stream(&"box".parse().unwrap(), &ExecStart::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { .. }), "{error:?}");
}
