//! Running a command in a guest while its streams flow: `GET /machines/{id}/exec/stream`, a WebSocket.
//!
//! ```text
//! client                                   server
//!   text  ExecStart                ->
//!                                  <-   text   {"type":"started","session_id":"..","stdin_offset":0}
//!   binary 0 + bytes of stdin      ->
//!   text  {"type":"stdin_close"}   ->
//!                                  <-   binary 1 + bytes of stdout, 2 + bytes of stderr
//!                                  <-   text   {"type":"exited","exit_code":0,"duration_ms":12}
//! ```
//!
//! Either side may close after `exited` or `error`. A session outlives its connection, and the host's daemon: an
//! [`ExecStart`] that names `session_id` and `offset` attaches again and is sent the output from that offset on, in the same
//! order. What of it is gone by then comes first, as `lost`, and counts as sent. The last attachment takes a session over.
//! `stdin_offset` says how much input the command had taken; what was sent beyond it is to be sent again.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ErrorCode;
use crate::forgiving;
use crate::id::ExecSessionId;

/// The longest message that either side sends, its first byte included.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// What is run and how: the first message of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecStart {
    /// The program and its arguments; not needed when a session is attached to again.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub command: Vec<String>,
    /// Where it runs; the user's home when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub cwd: Option<String>,
    /// Variables added to its environment.
    #[serde(
        default,
        deserialize_with = "forgiving::nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub env: BTreeMap<String, String>,
    /// As whom it runs; `node` when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub user: Option<String>,
    /// For how long it may run; without end when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout_ms: Option<u64>,
    /// Whether standard input will come; else it is empty.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub stdin: bool,
    /// The terminal to run it in; without one it gets pipes.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub tty: Option<TerminalSize>,
    /// The session to attach to again.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub session_id: Option<ExecSessionId>,
    /// How many bytes of output, both streams together, the client already has.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub offset: Option<u64>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TerminalSize {
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
}

/// What a client says in text messages after its [`ExecStart`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExecControl {
    /// No more standard input will come.
    StdinClose,
    /// The command is to get a signal.
    Signal {
        /// The number of the signal on Linux.
        signal: i32,
    },
    /// The terminal has another size now.
    Resize(TerminalSize),
}

/// What a server says in text messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExecEvent {
    /// The command runs.
    Started {
        /// By which name it is attached to again.
        session_id: ExecSessionId,
        /// How many bytes of standard input it has taken; absent when it takes none, or none any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdin_offset: Option<u64>,
    },
    /// Output that nobody read in time is gone.
    Lost {
        /// How many bytes of both streams together.
        bytes: u64,
    },
    /// The command has ended, and all its output was sent before.
    Exited {
        /// How it ended; 128 plus the signal when a signal ended it.
        exit_code: i32,
        /// How long it ran.
        duration_ms: u64,
    },
    /// It could not be run, or what became of it is not known.
    Error {
        /// What went wrong, for people.
        error: String,
        /// What went wrong, for programs.
        code: ErrorCode,
    },
}

/// The stream that a binary message belongs to; its number is the first byte of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExecChannel {
    /// Standard input, from the client.
    Stdin = 0,
    /// Standard output, from the server. A command in a terminal has only this one.
    Stdout = 1,
    /// Standard error, from the server.
    Stderr = 2,
}

/// A binary message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecFrame {
    /// The stream it belongs to.
    pub channel: ExecChannel,
    /// A piece of that stream.
    pub data: Bytes,
}

/// A binary message that belongs to no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a binary message begins with the number of a stream: 0, 1 or 2")]
pub struct FrameError;

impl ExecFrame {
    /// The message as it is sent.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut message = BytesMut::with_capacity(1 + self.data.len());
        message.put_u8(self.channel as u8);
        message.put_slice(&self.data);
        message.freeze()
    }

    /// Reads a message that was received.
    ///
    /// # Errors
    /// When its first byte is not the number of a stream, or there is none.
    pub fn decode(mut message: Bytes) -> Result<Self, FrameError> {
        let channel = match message.first() {
            Some(0) => ExecChannel::Stdin,
            Some(1) => ExecChannel::Stdout,
            Some(2) => ExecChannel::Stderr,
            Some(_) | None => return Err(FrameError),
        };
        Ok(Self { channel, data: message.split_off(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_frame_is_its_channel_and_its_bytes() {
        for (channel, number) in
            [(ExecChannel::Stdin, 0), (ExecChannel::Stdout, 1), (ExecChannel::Stderr, 2)]
        {
            let frame = ExecFrame { channel, data: Bytes::from_static(b"\x00hi") };
            let message = frame.encode();
            assert_eq!(&message[..], [number, 0, b'h', b'i']);
            assert_eq!(ExecFrame::decode(message), Ok(frame));
        }
        assert_eq!(ExecFrame::decode(Bytes::from_static(&[1])).unwrap().data.len(), 0);
        assert_eq!(ExecFrame::decode(Bytes::new()), Err(FrameError));
        assert_eq!(ExecFrame::decode(Bytes::from_static(&[3, 1])), Err(FrameError));
    }

    #[test]
    fn messages_are_tagged_with_their_type() {
        let resize = ExecControl::Resize(TerminalSize { columns: 80, rows: 24 });
        for (control, expected) in [
            (ExecControl::StdinClose, json!({"type": "stdin_close"})),
            (ExecControl::Signal { signal: 15 }, json!({"type": "signal", "signal": 15})),
            (resize, json!({"type": "resize", "columns": 80, "rows": 24})),
        ] {
            assert_eq!(serde_json::to_value(&control).unwrap(), expected);
            assert_eq!(serde_json::from_value::<ExecControl>(expected).unwrap(), control);
        }
        let exited = ExecEvent::Exited { exit_code: 3, duration_ms: 12 };
        let expected = json!({"type": "exited", "exit_code": 3, "duration_ms": 12});
        assert_eq!(serde_json::to_value(&exited).unwrap(), expected);
        let error = ExecEvent::Error { error: "no agent".into(), code: ErrorCode::NoAgent };
        let expected = json!({"type": "error", "error": "no agent", "code": "no_agent"});
        assert_eq!(serde_json::to_value(&error).unwrap(), expected);
    }

    #[test]
    fn a_start_keeps_empty_variables_and_drops_an_empty_terminal() {
        let start: ExecStart = serde_json::from_value(json!({
            "command": ["true"], "env": {"EMPTY": ""}, "tty": {"columns": 0, "rows": 0}, "cwd": "", "user": null
        }))
        .unwrap();
        assert_eq!(
            start,
            ExecStart {
                command: vec!["true".into()],
                env: BTreeMap::from([("EMPTY".into(), String::new())]),
                ..ExecStart::default()
            }
        );
    }
}
