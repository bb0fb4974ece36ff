//! The objects of the protocol.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A command as it is sent.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) execute: &'a str,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) arguments: Value,
    pub(super) id: u64,
}

/// Anything that QEMU sends. Fields that this version does not name are ignored: the protocol grows by adding them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    /// The first line of a connection.
    Greeting {
        #[serde(rename = "QMP")]
        greeting: Greeting,
    },
    /// The answer to a command that worked.
    Return {
        #[serde(rename = "return")]
        value: Value,
        id: Option<u64>,
    },
    /// The answer to a command that did not.
    Error { error: ErrorBody, id: Option<u64> },
    /// Something happened.
    Event(Event),
}

/// What QEMU says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Greeting {
    pub(super) version: Value,
}

/// An error as QEMU words it.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) class: ErrorClass,
    pub(super) desc: String,
}

/// The classes of QAPI's `QapiErrorClass`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum ErrorClass {
    /// Any error without a class of its own.
    GenericError,
    /// The command does not exist.
    CommandNotFound,
    /// A device is not in the right state.
    DeviceNotActive,
    /// A device does not exist.
    DeviceNotFound,
    /// A required key is missing.
    KVMMissingCap,
    /// A class of a later QEMU.
    #[serde(untagged)]
    Other(String),
}

/// An event, as far as anyone here looks at it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// Its name, such as `MIGRATION`.
    #[serde(rename = "event")]
    pub name: String,
    /// What belongs to it.
    #[serde(default)]
    pub data: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_told_apart() {
        let parse = |line: &str| serde_json::from_str::<Message>(line).unwrap();

        assert!(matches!(
            parse(r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#),
            Message::Greeting { .. }
        ));
        assert!(matches!(parse(r#"{"return": {}, "id": 7}"#), Message::Return { id: Some(7), .. }));
        let refused = r#"{"id": 7, "error": {"class": "Strange", "desc": "no"}}"#;
        assert!(
            matches!(parse(refused), Message::Error { error, .. } if error.class == ErrorClass::Other("Strange".to_owned()))
        );
        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#;
        assert!(
            matches!(parse(event), Message::Event(event) if event.name == "STOP" && event.data.is_null())
        );
    }
}
