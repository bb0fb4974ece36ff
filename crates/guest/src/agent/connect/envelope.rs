//! Messages of a stream, each behind one byte of flags and four of length.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::error::{Code, ConnectError};
use crate::limits;

const HEADER_BYTES: usize = 5;
const COMPRESSED: u8 = 1;
const END_OF_STREAM: u8 = 2;

/// A message of a stream.
pub(super) fn message(data: &[u8]) -> Bytes {
    envelope(0, data)
}

/// The end of a stream that went well, or did not.
pub(super) fn end(error: Option<&ConnectError>) -> Bytes {
    let trailer = match error {
        Some(error) => serde_json::json!({ "error": error }),
        None => serde_json::json!({}),
    };
    envelope(END_OF_STREAM, trailer.to_string().as_bytes())
}

fn envelope(flags: u8, data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + data.len());
    bytes.put_u8(flags);
    // Messages of ours are far below 4 GiB.
    bytes.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
    bytes.put_slice(data);
    bytes.freeze()
}

/// The messages of a request's body, one by one.
#[derive(Debug)]
pub(super) struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

impl Messages {
    pub(super) fn of(body: Incoming) -> Messages {
        Messages { body, buffer: BytesMut::new() }
    }

    /// The next one; `None` at the end of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ConnectError> {
        loop {
            if let Some(message) = take(&mut self.buffer)? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(ConnectError::invalid(error.to_string())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ConnectError::invalid("the last message ends early")),
            }
        }
    }
}

/// Takes a whole message from the beginning of the buffer, if there is one.
fn take(buffer: &mut BytesMut) -> Result<Option<Bytes>, ConnectError> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [flags, length @ ..] = *header;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limits::MESSAGE_BYTES {
        let reason = format!("a message has at most {} bytes", limits::MESSAGE_BYTES);
        return Err(ConnectError::new(Code::ResourceExhausted, reason));
    }
    if flags & COMPRESSED != 0 {
        return Err(ConnectError::new(Code::Unimplemented, "compression is not supported"));
    }
    if buffer.len() < HEADER_BYTES + length {
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_one_by_one_when_they_are_whole() {
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&message(b"one"));
        buffer.extend_from_slice(&message(b""));
        buffer.extend_from_slice(&message(b"three")[..7]);
        assert_eq!(take(&mut buffer), Ok(Some(Bytes::from_static(b"one"))));
        assert_eq!(take(&mut buffer), Ok(Some(Bytes::new())));
        assert_eq!(take(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"ree");
        assert_eq!(take(&mut buffer), Ok(Some(Bytes::from_static(b"three"))));
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_by_its_header_promise_p10() {
        let mut buffer = BytesMut::from(&[0, 0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(take(&mut buffer).unwrap_err().code, Code::ResourceExhausted);
        let mut buffer = BytesMut::from(&[1, 0, 0, 0, 0][..]);
        assert_eq!(take(&mut buffer).unwrap_err().code, Code::Unimplemented);
    }

    #[test]
    fn a_stream_ends_with_its_error() {
        let error = ConnectError::new(Code::NotFound, "gone");
        let bytes = end(Some(&error));
        assert_eq!(bytes[0], END_OF_STREAM);
        assert_eq!(&bytes[5..], br#"{"error":{"code":"not_found","message":"gone"}}"#);
        assert_eq!(&end(None)[..], b"\x02\0\0\0\x02{}");
    }
}
