//! What a client says to a command: its input, signals, the size of its terminal.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use contract::exec_stream::{ExecChannel, ExecControl, ExecFrame};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use guest::client::{SessionControl, SessionInput, Stdin};
use guest::proto::TerminalSize;

use super::stream::{CALL_DEADLINE, STALL_DEADLINE};
use crate::http::error::Failure;

/// Hands on what the client says until it goes away.
pub(super) async fn take_input(
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

/// Waits for the client to close its side; true when it did so in time.
pub(super) async fn closes(stream: &mut SplitStream<WebSocket>, within: Duration) -> bool {
    let closing = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        }
    };
    tokio::time::timeout(within, closing).await.unwrap_or(false)
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

pub(super) fn terminal(size: contract::exec_stream::TerminalSize) -> TerminalSize {
    TerminalSize { columns: size.columns.into(), rows: size.rows.into() }
}
