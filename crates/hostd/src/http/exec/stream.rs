//! A command over a WebSocket, as `contract::exec_stream` draws it.
//!
//! ```text
//!  socket --messages--> [ input task: stdin, signals, size ] --> agent
//!  socket <--frames---- [ this task: output by offset      ] <-- agent
//! ```
//! When the socket breaks, the session lives on in the agent for a client that comes back.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use contract::exec::DEFAULT_USER;
use contract::exec_stream::{
    ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart, MAX_MESSAGE_BYTES,
};
use contract::{ErrorCode, MachineId};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use guest::client::{ClientError, Command, Event, Session, SessionControl, SessionInput, Stdin};
use guest::proto::TerminalSize;
use tokio::time::timeout;

use super::agents::Reached;
use crate::http::api::Api;
use crate::http::decode::At;
use crate::http::error::Failure;

/// How long a client may take to say what it wants.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// One call to the agent.
const CALL_DEADLINE: Duration = Duration::from_secs(20);
/// How long a client may take to read one message, or a command to read its input.
const STALL_DEADLINE: Duration = Duration::from_secs(600);
/// How long nothing need happen before the client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The longest name of a session: that of an operation.
const SESSION_ID_BYTES: usize = 26;

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
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Result<(), Failure> {
    let start = first_message(stream).await?;
    let mut session = open(api, reached, start).await?;
    let control = session.control();
    let id = control.session_id().to_owned();
    tell(sink, &ExecEvent::Started { session_id: id }).await?;
    let input = session.take_input();
    tokio::select! {
        ended = output(api, sink, session) => ended,
        // A client that closed its side ends the connection, not the session.
        ended = take_input(stream, input, &control) => ended,
    }
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
async fn open(api: &Api, reached: &Reached, start: ExecStart) -> Result<Session, Failure> {
    let client = &reached.client;
    if let Some(id) = &start.session_id {
        let is_name =
            id.len() <= SESSION_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let unknown =
            || Failure::new(ErrorCode::NotFound, "how far this session was read is not known");
        let offsets = api.progress.resume(id, start.offset.unwrap_or(0)).filter(|_| is_name);
        let offsets = offsets.ok_or_else(unknown)?;
        return Ok(client.session(id, offsets.stdout, offsets.stderr));
    }
    if start.command.is_empty() {
        return Err(Failure::malformed("there is no command"));
    }
    let id = api.mint.operation_id();
    Ok(client.start(id.as_str(), command(start), CALL_DEADLINE).await?)
}

fn command(start: ExecStart) -> Command {
    let mut command =
        Command::new(start.command).user(start.user.as_deref().unwrap_or(DEFAULT_USER));
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

fn terminal(size: contract::exec_stream::TerminalSize) -> TerminalSize {
    TerminalSize { columns: size.columns.into(), rows: size.rows.into() }
}

/// Sends what the command writes until it has ended.
async fn output(
    api: &Api,
    sink: &mut SplitSink<WebSocket, Message>,
    mut session: Session,
) -> Result<(), Failure> {
    let id = session.control().session_id().to_owned();
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
            Some(Event::Lost { .. }) => continue,
            Some(Event::Exit(exit)) => {
                let (exit_code, duration_ms) = (exit.exit_code, exit.duration_ms);
                tell(sink, &ExecEvent::Exited { exit_code, duration_ms }).await?;
                api.progress.forget(&id);
                return Ok(session.remove(CALL_DEADLINE).await?);
            }
            None => return Ok(()),
        };
        api.progress.sent(&id, channel, data.len());
        let pieces = (0..data.len()).step_by(MAX_MESSAGE_BYTES - 1);
        for first in pieces {
            let piece = data.slice(first..data.len().min(first + MAX_MESSAGE_BYTES - 1));
            send(sink, Message::Binary(ExecFrame { channel, data: piece }.encode())).await?;
        }
    }
}

/// Hands on what the client says until it goes away.
async fn take_input(
    stream: &mut SplitStream<WebSocket>,
    mut input: Option<SessionInput>,
    control: &SessionControl,
) -> Result<(), Failure> {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Binary(data)) => {
                let frame = ExecFrame::decode(data)
                    .map_err(|error| Failure::malformed(error.to_string()))?;
                write(&mut input, frame).await?;
            }
            Ok(Message::Text(text)) => {
                let said = serde_json::from_str(text.as_str())
                    .map_err(|error| Failure::malformed(format!("a message: {error}")))?;
                obey(said, &mut input, control).await?;
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) | Err(_) => return Ok(()),
        }
    }
    Ok(())
}

async fn write(input: &mut Option<SessionInput>, frame: ExecFrame) -> Result<(), Failure> {
    match (input.as_mut(), frame.channel) {
        (Some(stdin), ExecChannel::Stdin) => {
            if stdin.write(frame.data, STALL_DEADLINE).await? == Stdin::Closed {
                input.take();
            }
            Ok(())
        }
        // What comes after the command closed its stdin goes nowhere, as in a pipe.
        (None, ExecChannel::Stdin) => Ok(()),
        (_, ExecChannel::Stdout | ExecChannel::Stderr) => {
            Err(Failure::malformed("a client sends stdin only"))
        }
    }
}

async fn obey(
    said: ExecControl,
    input: &mut Option<SessionInput>,
    control: &SessionControl,
) -> Result<(), Failure> {
    match said {
        ExecControl::StdinClose => {
            if let Some(mut stdin) = input.take() {
                stdin.close(STALL_DEADLINE).await?;
            }
        }
        ExecControl::Signal { signal } => {
            control.signal(signal, CALL_DEADLINE).await?;
        }
        ExecControl::Resize(size) => control.resize(terminal(size), CALL_DEADLINE).await?,
    }
    Ok(())
}

async fn tell(sink: &mut SplitSink<WebSocket, Message>, event: &ExecEvent) -> Result<(), Failure> {
    let text = serde_json::to_string(event)
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("encode an event: {error}")))?;
    send(sink, Message::Text(text.into())).await
}

async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> Result<(), Failure> {
    match timeout(STALL_DEADLINE, sink.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Failure::new(ErrorCode::Unavailable, "the client is gone")),
    }
}
