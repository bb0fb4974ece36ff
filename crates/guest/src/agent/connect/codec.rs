//! Messages as bytes: JSON or Protocol Buffers, as the client's content type says.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use prost::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::{Code, ConnectError};

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

/// How many messages a call has in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Unary,
    Stream,
}

impl Codec {
    /// As the request says; none fits when the content type is no other's.
    pub(super) fn of(headers: &HeaderMap, shape: Shape) -> Option<Codec> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = text.split(';').next().unwrap_or_default().trim();
        [Codec::Json, Codec::Proto].into_iter().find(|codec| codec.content_type(shape) == essence)
    }

    pub(super) fn content_type(self, shape: Shape) -> &'static str {
        match (self, shape) {
            (Codec::Json, Shape::Unary) => "application/json",
            (Codec::Proto, Shape::Unary) => "application/proto",
            (Codec::Json, Shape::Stream) => "application/connect+json",
            (Codec::Proto, Shape::Stream) => "application/connect+proto",
        }
    }

    pub(super) fn decode<T>(self, bytes: Bytes) -> Result<T, ConnectError>
    where
        T: Message + Default + DeserializeOwned,
    {
        match self {
            Codec::Proto => T::decode(bytes).map_err(|error| error.to_string()),
            // A client may leave an empty message out.
            Codec::Json if bytes.is_empty() => Ok(T::default()),
            Codec::Json => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        }
        .map_err(|reason| ConnectError::invalid(format!("the message cannot be read: {reason}")))
    }

    pub(super) fn encode(
        self,
        message: &(impl Message + Serialize),
    ) -> Result<Bytes, ConnectError> {
        match self {
            Codec::Proto => Ok(message.encode_to_vec().into()),
            Codec::Json => serde_json::to_vec(message)
                .map(Bytes::from)
                .map_err(|error| ConnectError::new(Code::Internal, error.to_string())),
        }
    }
}

/// Compressed messages are not read.
pub(super) fn refuse_compression(headers: &HeaderMap) -> Result<(), ConnectError> {
    for name in [CONTENT_ENCODING.as_str(), "connect-content-encoding"] {
        if headers.get(name).is_some_and(|value| value != "identity") {
            return Err(ConnectError::new(Code::Unimplemented, "compression is not supported"));
        }
    }
    Ok(())
}

/// Bytes in JSON are base 64, of either alphabet and with or without padding when they are read.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::alphabet::{STANDARD, URL_SAFE};
    use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
    use base64::engine::{DecodePaddingMode, general_purpose};
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&general_purpose::STANDARD.encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        GeneralPurpose::new(&alphabet, config)
            .decode(text)
            .map(Bytes::from)
            .map_err(serde::de::Error::custom)
    }
}

/// An enumeration in JSON is its name or its number.
pub(super) fn signal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i32),
        Name(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Name(name) => match name.as_str() {
            "SIGNAL_UNSPECIFIED" => Ok(0),
            "SIGNAL_SIGKILL" => Ok(9),
            "SIGNAL_SIGTERM" => Ok(15),
            _ => Err(serde::de::Error::custom("no such signal")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::messages::*;
    use super::*;

    fn decode<T: Message + Default + DeserializeOwned>(json: serde_json::Value) -> T {
        Codec::Json.decode(json.to_string().into()).unwrap()
    }

    #[test]
    fn a_start_is_read_from_both_forms() {
        let process = ProcessConfig {
            cmd: "/bin/bash".into(),
            args: vec!["-l".into(), "-c".into(), "id".into()],
            envs: [("A".to_owned(), "b".to_owned())].into(),
            cwd: None,
        };
        let pty = Some(Pty { size: Some(PtySize { cols: 80, rows: 24 }) });
        let start = StartRequest { process: Some(process), pty, tag: None, stdin: Some(false) };
        let bytes = start.encode_to_vec();
        assert_eq!(Codec::Proto.decode::<StartRequest>(bytes.into()).unwrap(), start);
        let json = json!({
            "process": {"cmd": "/bin/bash", "args": ["-l", "-c", "id"], "envs": {"A": "b"}, "new": 1},
            "pty": {"size": {"cols": 80, "rows": 24}}, "stdin": false,
        });
        assert_eq!(decode::<StartRequest>(json), start);
    }

    #[test]
    fn selectors_input_and_signals_are_read_as_clients_write_them() {
        let by_pid = |pid| Some(ProcessSelector { selector: Some(Selector::Pid(pid)) });
        let request: SendSignalRequest =
            decode(json!({"process": {"pid": 7}, "signal": "SIGNAL_SIGKILL"}));
        assert_eq!(request, SendSignalRequest { process: by_pid(7), signal: 9 });
        for text in ["//4=", "__4"] {
            let request: SendInputRequest =
                decode(json!({"process": {"pid": 7}, "input": {"stdin": text}}));
            let input = Some(Input::Stdin(Bytes::from_static(&[0xff, 0xfe])));
            assert_eq!(request.input, Some(ProcessInput { input }));
        }
        let none: ConnectRequest = decode(json!({"process": {}}));
        assert_eq!(none.process, Some(ProcessSelector { selector: None }));
    }

    #[test]
    fn events_are_written_as_clients_read_them() {
        let event = |event| EventResponse { event: Some(ProcessEvent { event: Some(event) }) };
        let end =
            EndEvent { exit_code: 3, exited: true, status: "exit status 3".into(), error: None };
        let output = Some(Output::Stderr(Bytes::from_static(b"hi")));
        for (event, expected) in [
            (event(Event::Start(StartEvent { pid: 5 })), json!({"event": {"start": {"pid": 5}}})),
            (
                event(Event::Data(DataEvent { output })),
                json!({"event": {"data": {"stderr": "aGk="}}}),
            ),
            (
                event(Event::End(end)),
                json!({"event": {"end": {"exitCode": 3, "exited": true, "status": "exit status 3"}}}),
            ),
            (event(Event::Keepalive(Empty {})), json!({"event": {"keepalive": {}}})),
        ] {
            let written = Codec::Json.encode(&event).unwrap();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected);
        }
    }
}
