//! The messages of `process.Process`, by their numbers in E2B's `process.proto` and their names in its JSON.

use std::collections::HashMap;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};
use serde::{Deserialize, Serialize};

use super::codec::{base64_bytes, signal};

/// What to run.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ProcessConfig {
    #[prost(string, tag = "1")]
    pub(super) cmd: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) args: Vec<String>,
    #[prost(map = "string, string", tag = "3")]
    pub(super) envs: HashMap<String, String>,
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cwd: Option<String>,
}

/// A terminal.
#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct Pty {
    #[prost(message, optional, tag = "1")]
    pub(super) size: Option<PtySize>,
}

/// Its size, in characters.
#[derive(Clone, Copy, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct PtySize {
    #[prost(uint32, tag = "1")]
    pub(super) cols: u32,
    #[prost(uint32, tag = "2")]
    pub(super) rows: u32,
}

/// Starts a process.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StartRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessConfig>,
    #[prost(message, optional, tag = "2")]
    pub(super) pty: Option<Pty>,
    #[prost(string, optional, tag = "3")]
    pub(super) tag: Option<String>,
    /// Absent is true: older clients do not say.
    #[prost(bool, optional, tag = "4")]
    pub(super) stdin: Option<bool>,
}

/// Reads a process that runs.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ConnectRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessSelector>,
}

/// Which process.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ProcessSelector {
    #[prost(oneof = "Selector", tags = "1, 2")]
    #[serde(flatten)]
    pub(super) selector: Option<Selector>,
}

/// By its number, or by the tag that it was given.
#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Selector {
    #[prost(uint32, tag = "1")]
    Pid(u32),
    #[prost(string, tag = "2")]
    Tag(String),
}

/// What Start and Connect answer, again and again.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct EventResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) event: Option<ProcessEvent>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ProcessEvent {
    #[prost(oneof = "Event", tags = "1, 2, 3, 4")]
    #[serde(flatten)]
    pub(super) event: Option<Event>,
}

/// What happened to a process.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Event {
    #[prost(message, tag = "1")]
    Start(StartEvent),
    #[prost(message, tag = "2")]
    Data(DataEvent),
    #[prost(message, tag = "3")]
    End(EndEvent),
    #[prost(message, tag = "4")]
    Keepalive(Empty),
}

#[derive(Clone, Copy, PartialEq, Message, Serialize)]
pub(super) struct StartEvent {
    #[prost(uint32, tag = "1")]
    pub(super) pid: u32,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct DataEvent {
    #[prost(oneof = "Output", tags = "1, 2, 3")]
    #[serde(flatten)]
    pub(super) output: Option<Output>,
}

/// A piece of output.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Output {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(with = "base64_bytes")]
    Stdout(Bytes),
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(with = "base64_bytes")]
    Stderr(Bytes),
    #[prost(bytes = "bytes", tag = "3")]
    #[serde(with = "base64_bytes")]
    Pty(Bytes),
}

/// How it ended, in Go's words, which clients show.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndEvent {
    #[prost(sint32, tag = "1")]
    pub(super) exit_code: i32,
    #[prost(bool, tag = "2")]
    pub(super) exited: bool,
    #[prost(string, tag = "3")]
    pub(super) status: String,
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Gives a terminal another size.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct UpdateRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessSelector>,
    #[prost(message, optional, tag = "2")]
    pub(super) pty: Option<Pty>,
}

/// Sends input.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct SendInputRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessSelector>,
    #[prost(message, optional, tag = "2")]
    pub(super) input: Option<ProcessInput>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ProcessInput {
    #[prost(oneof = "Input", tags = "1, 2")]
    #[serde(flatten)]
    pub(super) input: Option<Input>,
}

/// A piece of input, for pipe or terminal.
#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Input {
    #[prost(bytes = "bytes", tag = "1")]
    #[serde(with = "base64_bytes")]
    Stdin(Bytes),
    #[prost(bytes = "bytes", tag = "2")]
    #[serde(with = "base64_bytes")]
    Pty(Bytes),
}

/// One message of a stream of input.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct StreamInputRequest {
    #[prost(oneof = "InputEvent", tags = "1, 2, 3")]
    #[serde(flatten)]
    pub(super) event: Option<InputEvent>,
}

/// The first says to which process, the others bring input.
#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum InputEvent {
    #[prost(message, tag = "1")]
    Start(ConnectRequest),
    #[prost(message, tag = "2")]
    Data(InputData),
    #[prost(message, tag = "3")]
    Keepalive(Empty),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct InputData {
    #[prost(message, optional, tag = "2")]
    pub(super) input: Option<ProcessInput>,
}

/// The signals that clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(super) enum Signal {
    Unspecified = 0,
    Sigkill = 9,
    Sigterm = 15,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct SendSignalRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) process: Option<ProcessSelector>,
    #[prost(enumeration = "Signal", tag = "2")]
    #[serde(deserialize_with = "signal")]
    pub(super) signal: i32,
}

/// The processes that run.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) processes: Vec<ProcessInfo>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ProcessInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) config: Option<ProcessConfig>,
    #[prost(uint32, tag = "2")]
    pub(super) pid: u32,
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Empty {}
