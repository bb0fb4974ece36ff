//! A command over a WebSocket, as `contract::exec_stream` draws it.
//!
//! ```text
//!  socket --messages--> [ `input`: stdin, signals, size ] --> agent
//!  socket <--frames---- [ this: output by position      ] <-- agent
//! ```
//! When the socket breaks, the session lives on in the agent for a client that comes back, to this daemon or the next: nothing
//! of it is remembered here.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use contract::exec::DEFAULT_USER;
use contract::exec_stream::{ExecChannel, ExecEvent, ExecFrame, ExecStart, MAX_MESSAGE_BYTES};
use contract::{ErrorCode, ExecSessionId, MachineId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use guest::client::{ClientError, Command, Event, Session};
use tokio::time::timeout;

use super::agents::Reached;
use super::failure::is_absent;
use super::input::{closes, take_input, terminal};
use crate::http::api::Api;
use crate::http::decode::At;
use crate::http::error::Failure;

/// How long a client may take to say what it wants.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// One call to the agent.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(20);
/// How long a client may take to read one message, or a command to read its input.
pub(super) const STALL_DEADLINE: Duration = Duration::from_secs(600);
/// How long nothing need happen before the client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a client may take to show that it got the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

type Sink = SplitSink<WebSocket, Message>;

pub(in crate::http) async fn exec_stream(
    State(api): State<Api>,
    At(id): At<MachineId>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|error| Failure::malformed(error.body_text()))?;
    let reached = api.reach(&id).await?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| serve(api, reached, socket)))
}

async fn serve(api: Api, reached: Reached, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    if let Err(failure) = run(&api, &reached, &mut sink, &mut stream).await {
        let event = ExecEvent::Error { error: failure.reason, code: failure.code };
        // A client that is gone is not told.
        drop(tell(&mut sink, &event).await);
    }
    drop(timeout(CALL_DEADLINE, sink.close()).await);
    drop(reached.permit);
}

async fn run(
    api: &Api,
    reached: &Reached,
    sink: &mut Sink,
    stream: &mut SplitStream<WebSocket>,
) -> Result<(), Failure> {
    let start = first_message(stream).await?;
    let (session_id, mut session) = open(api, reached, start).await?;
    let control = session.control();
    let input = session.take_input();
    let stdin_offset = input.as_ref().map(|input| input.offset());
    tell(sink, &ExecEvent::Started { session_id, stdin_offset }).await?;
    let ended = tokio::select! {
        ended = output(sink, &mut session) => ended?,
        // A client that closed its side ends the connection, not the session.
        left = take_input(stream, input, &control) => return left,
    };
    tell(sink, &ended).await?;
    send(sink, Message::Close(None)).await?;
    // One that did not get the end may still ask for it; the agent forgets the session by itself.
    if closes(stream, CLOSE_DEADLINE).await {
        session.remove(CALL_DEADLINE).await?;
    }
    Ok(())
}

async fn first_message(stream: &mut SplitStream<WebSocket>) -> Result<ExecStart, Failure> {
    let message = timeout(START_DEADLINE, stream.next()).await;
    match message {
        Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(text.as_str())
            .map_err(|error| Failure::malformed(format!("the first message: {error}"))),
        _ => Err(Failure::malformed("the first message is text and says what to run")),
    }
}

/// Starts a session, or goes on with one.
async fn open(
    api: &Api,
    reached: &Reached,
    start: ExecStart,
) -> Result<(ExecSessionId, Session), Failure> {
    let client = &reached.client;
    if let Some(id) = start.session_id {
        let found = client.resume(id.as_str(), start.offset.unwrap_or(0), CALL_DEADLINE).await;
        let session = found.map_err(|error| match is_absent(&error) {
            true => Failure::new(ErrorCode::NotFound, format!("no session {id}")),
            false => error.into(),
        })?;
        return Ok((id, session));
    }
    if start.command.is_empty() {
        return Err(Failure::malformed("there is no command"));
    }
    let id = ExecSessionId::from(&api.mint.operation_id());
    let session = client.start(id.as_str(), command(start), CALL_DEADLINE).await?;
    Ok((id, session))
}

fn command(start: ExecStart) -> Command {
    let mut command = Command::new(start.command)
        .user(start.user.as_deref().unwrap_or(DEFAULT_USER))
        .wait_for_reader();
    if let Some(cwd) = start.cwd {
        command = command.cwd(cwd);
    }
    if let Some(milliseconds) = start.timeout_ms {
        command = command.timeout(Duration::from_millis(milliseconds));
    }
    if start.stdin {
        command = command.stdin();
    }
    if let Some(size) = start.tty {
        command = command.terminal(terminal(size));
    }
    start.env.into_iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Sends what the command writes until it has ended; answers how.
async fn output(sink: &mut Sink, session: &mut Session) -> Result<ExecEvent, Failure> {
    loop {
        let event = match session.next_event(PING_INTERVAL).await {
            Ok(event) => event,
            Err(ClientError::Deadline { .. }) => {
                send(sink, Message::Ping(axum::body::Bytes::new())).await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let (channel, data) = match event {
            Some(Event::Stdout(data)) => (ExecChannel::Stdout, data),
            Some(Event::Stderr(data)) => (ExecChannel::Stderr, data),
            Some(Event::Lost { bytes }) => {
                tell(sink, &ExecEvent::Lost { bytes }).await?;
                continue;
            }
            Some(Event::Exit(exit)) if exit.timed_out => {
                let error = "the command ran out of time".to_owned();
                return Ok(ExecEvent::Error { error, code: ErrorCode::Deadline });
            }
            Some(Event::Exit(exit)) => {
                let (exit_code, duration_ms) = (exit.exit_code, exit.duration_ms);
                return Ok(ExecEvent::Exited { exit_code, duration_ms });
            }
            None => {
                return Err(Failure::new(ErrorCode::Internal, "the output ended without an exit"));
            }
        };
        let pieces = (0..data.len()).step_by(MAX_MESSAGE_BYTES - 1);
        for first in pieces {
            let piece = data.slice(first..data.len().min(first + MAX_MESSAGE_BYTES - 1));
            send(sink, Message::Binary(ExecFrame { channel, data: piece }.encode())).await?;
        }
    }
}

async fn tell(sink: &mut Sink, event: &ExecEvent) -> Result<(), Failure> {
    let text = serde_json::to_string(event)
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("encode an event: {error}")))?;
    send(sink, Message::Text(text.into())).await
}

async fn send(sink: &mut Sink, message: Message) -> Result<(), Failure> {
    match timeout(STALL_DEADLINE, sink.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Failure::new(ErrorCode::Unavailable, "the client is gone")),
    }
}
