//! One connection to a monitor.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use camino::Utf8Path;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::Value;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::jail::socket_path::SocketPath;

use super::error::QmpError;
use super::message::{Event, Message, Request};

/// The longest line that is read. Answers of the commands in use have a few KiB.
const MAXIMUM_LINE_BYTES: usize = 1024 * 1024;
/// How many events are kept for whoever waits for them; the oldest give way.
const MAXIMUM_EVENTS: usize = 64;

/// One connection to a monitor, past its greeting and its negotiation.
#[derive(Debug)]
pub struct Monitor {
    stream: UnixStream,
    received: Vec<u8>,
    events: VecDeque<Event>,
    last_id: u64,
    /// The version object of the greeting.
    version: Value,
    /// How long any one exchange may take.
    deadline: Duration,
}

impl Monitor {
    /// Connects and negotiates. `deadline` holds for this and for every later command.
    pub async fn connect(socket: &Utf8Path, deadline: Duration) -> Result<Self, QmpError> {
        let until = Instant::now() + deadline;
        let failed = |source| QmpError::Connect { socket: socket.to_owned(), source };
        let path = SocketPath::open(socket).map_err(failed)?;
        let connected = tokio::time::timeout_at(until, UnixStream::connect(path.short()));
        let stream = match connected.await {
            Ok(stream) => stream.map_err(failed)?,
            Err(_elapsed) => {
                return Err(QmpError::Silent { command: "connect".to_owned(), deadline });
            }
        };
        let mut monitor = Self {
            stream,
            received: Vec::new(),
            events: VecDeque::new(),
            last_id: 0,
            version: Value::Null,
            deadline,
        };
        while monitor.version.is_null() {
            if let Message::Greeting { greeting } = monitor.next("greeting", until).await? {
                monitor.version = greeting.version;
            }
        }
        monitor.execute("qmp_capabilities", Value::Null).await?;
        Ok(monitor)
    }

    /// The same connection, with another deadline for every later command.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The version object of QEMU's greeting.
    pub fn version(&self) -> &Value {
        &self.version
    }

    /// Runs a command and answers its value.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        self.exchange(command, arguments, None).await
    }

    /// Runs a command with a descriptor passed beside it, for `getfd`.
    pub async fn execute_passing(
        &mut self,
        command: &str,
        arguments: Value,
        descriptor: BorrowedFd<'_>,
    ) -> Result<Value, QmpError> {
        self.exchange(command, arguments, Some(descriptor)).await
    }

    /// Waits for the first event that `select` takes, among those that came and those to come.
    pub async fn wait_event<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut select: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, QmpError> {
        let until = Instant::now() + deadline;
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(selected) = select(&event) {
                    return Ok(selected);
                }
            }
            if let Message::Event(event) = self.next(what, until).await? {
                self.keep(event);
            }
        }
    }

    async fn exchange(
        &mut self,
        command: &str,
        arguments: Value,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Value, QmpError> {
        let until = Instant::now() + self.deadline;
        self.last_id += 1;
        let id = self.last_id;
        let request = Request { execute: command, arguments, id };
        let mut line = serde_json::to_vec(&request)
            .map_err(|source| QmpError::Malformed { command: command.to_owned(), source })?;
        line.push(b'\n');
        match tokio::time::timeout_at(until, self.send(&line, descriptor)).await {
            Ok(sent) => {
                sent.map_err(|source| QmpError::Broken { command: command.to_owned(), source })?
            }
            Err(_elapsed) => return Err(self.silent(command)),
        }
        loop {
            match self.next(command, until).await? {
                Message::Return { value, id: Some(answered) } if answered == id => {
                    return Ok(value);
                }
                Message::Error { error, id: answered }
                    if answered.is_none_or(|answered| answered == id) =>
                {
                    let (class, description) = (error.class, error.desc);
                    return Err(QmpError::Refused {
                        command: command.to_owned(),
                        class,
                        description,
                    });
                }
                Message::Event(event) => self.keep(event),
                // The late answer of a command that was given up.
                Message::Return { .. } | Message::Error { .. } | Message::Greeting { .. } => {}
            }
        }
    }

    /// The descriptor travels with the first byte of the line.
    async fn send(&self, line: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut sent = 0;
        while sent < line.len() {
            let passed: Vec<_> = descriptor.into_iter().filter(|_| sent == 0).collect();
            sent += self
                .stream
                .async_io(Interest::WRITABLE, || send_once(&self.stream, &line[sent..], &passed))
                .await?;
        }
        Ok(())
    }

    fn keep(&mut self, event: Event) {
        if self.events.len() == MAXIMUM_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    async fn next(&mut self, command: &str, until: Instant) -> Result<Message, QmpError> {
        let line = match tokio::time::timeout_at(until, self.read_line(command)).await {
            Ok(line) => line?,
            Err(_elapsed) => return Err(self.silent(command)),
        };
        serde_json::from_slice(&line)
            .map_err(|source| QmpError::Malformed { command: command.to_owned(), source })
    }

    /// Safe to give up: what was read of an unfinished line stays.
    async fn read_line(&mut self, command: &str) -> Result<Vec<u8>, QmpError> {
        let broken = |source| QmpError::Broken { command: command.to_owned(), source };
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let rest = self.received.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.received, rest));
            }
            if self.received.len() >= MAXIMUM_LINE_BYTES {
                return Err(QmpError::TooLong {
                    command: command.to_owned(),
                    limit: MAXIMUM_LINE_BYTES,
                });
            }
            if self.stream.read_buf(&mut self.received).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn silent(&self, command: &str) -> QmpError {
        QmpError::Silent { command: command.to_owned(), deadline: self.deadline }
    }
}

fn send_once(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("no room for the descriptor"));
    }
    Ok(sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?)
}
