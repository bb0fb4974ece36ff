//! HTTP as far as the API needs it: one request after the other, each whole.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The longest request that Firecracker takes.
const BODY_LIMIT_BYTES: u64 = 51_200;
const HEAD_LIMIT_BYTES: u64 = 8192;
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// The next request of a connection; `None` at its end.
pub(super) fn read(stream: &mut BufReader<UnixStream>) -> io::Result<Option<Request>> {
    stream.get_ref().set_read_timeout(Some(PATIENCE))?;
    parse(stream)
}

fn parse(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = from.take(HEAD_LIMIT_BYTES);
    let mut first = String::new();
    if head.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("{first:?} begins no request")));
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            None if line.trim_end().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse::<u64>().map_err(io::Error::other)?;
            }
            _ => {}
        }
    }
    if length > BODY_LIMIT_BYTES {
        return Err(io::Error::other("the body is too long"));
    }
    let mut body = Vec::new();
    if from.take(length).read_to_end(&mut body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Request { method, path, body }))
}

/// Answers, with or without a body.
pub(super) fn write(mut stream: &UnixStream, status: &str, body: Option<&str>) -> io::Result<()> {
    let head = "Server: Firecracker API\r\nConnection: keep-alive";
    let text = match body {
        Some(body) => format!(
            "HTTP/1.1 {status}\r\n{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        None => format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n"),
    };
    stream.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_after_the_other() {
        let text = b"PUT /actions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n";
        let mut from = &text[..];

        let first = parse(&mut from).unwrap().unwrap();
        let second = parse(&mut from).unwrap().unwrap();

        assert_eq!((first.path.as_str(), first.body.as_slice()), ("/actions", &b"{}"[..]));
        assert_eq!((second.method.as_str(), second.path.as_str()), ("GET", "/"));
        assert_eq!(parse(&mut from).unwrap(), None);
        assert!(parse(&mut &b"PUT / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"[..]).is_err());
    }
}
