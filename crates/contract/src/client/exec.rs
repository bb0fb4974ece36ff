//! Running a command over a WebSocket, its streams as they flow.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connection::{Answering, Driver, read_whole};
use super::{Client, ClientError, QUICK};
use crate::endpoint::Endpoint;
use crate::endpoint::table::ExecStream;
use crate::exec_stream::{
    ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart, MAX_MESSAGE_BYTES,
};
use crate::id::MachineId;

/// How often a caller should let [`ExecSender::keep_alive`] be sent.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// For how long nothing may come, not even the answer to a ping, before the connection counts as broken.
const SILENCE_DEADLINE: Duration = Duration::from_secs(60);
/// The most of standard input that one message carries.
const INPUT_PIECE_BYTES: usize = 32 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A command that was asked for, in both directions.
#[derive(Debug)]
pub struct ExecConnection {
    /// The direction to the command.
    pub sender: ExecSender,
    /// The direction from the command.
    pub receiver: ExecReceiver,
}

/// What comes from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecReceived {
    /// A piece of its output.
    Output(ExecFrame),
    /// Something that happened to it.
    Event(ExecEvent),
}

/// The direction to a command.
#[derive(Debug)]
pub struct ExecSender {
    sink: SplitSink<Socket, Message>,
}

/// The direction from a command.
#[derive(Debug)]
pub struct ExecReceiver {
    stream: SplitStream<Socket>,
    // When something last came, be it the answer to a ping.
    heard: Instant,
    // Ends the connection when the receiver is dropped.
    _driver: Driver,
}

impl Client {
    /// Asks for a command, or attaches to one again.
    ///
    /// # Errors
    /// Whatever kept the WebSocket from being opened. What is wrong with the command itself comes as an event.
    pub async fn exec_stream(
        &self,
        machine: &MachineId,
        start: &ExecStart,
    ) -> Result<ExecConnection, ClientError> {
        let call = ExecStream::NAME;
        tokio::time::timeout(QUICK, async {
            let (socket, driver) = self.open_socket(machine).await?;
            let (sink, stream) = socket.split();
            let mut sender = ExecSender { sink };
            sender.send_json(call, start).await?;
            let receiver = ExecReceiver { stream, heard: Instant::now(), _driver: driver };
            Ok(ExecConnection { sender, receiver })
        })
        .await
        .map_err(|_elapsed| ClientError::Deadline { call, after: QUICK })?
    }

    async fn open_socket(&self, machine: &MachineId) -> Result<(Socket, Driver), ClientError> {
        let call = ExecStream::NAME;
        let key = generate_key();
        let mut request = self.call(ExecStream, machine).into_request()?;
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key_value = HeaderValue::from_str(&key).expect("base 64 stands in a header");
        headers.insert(header::SEC_WEBSOCKET_KEY, key_value);

        let Answering { response, driver } = self.exchange(call, request).await?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let (parts, body) = response.into_parts();
            let bytes = read_whole(call, body).await?;
            return Err(ClientError::of_answer(call, status, &parts.headers, &bytes));
        }
        let accepted =
            response.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(ClientError::Unexpected { call, status, source: None });
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|source| ClientError::Transport { call, source })?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config))
                .await;
        Ok((socket, driver))
    }
}

impl ExecSender {
    /// Sends standard input.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn input(&mut self, mut data: Bytes) -> Result<(), ClientError> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(INPUT_PIECE_BYTES));
            let frame = ExecFrame { channel: ExecChannel::Stdin, data: piece };
            self.send(Message::Binary(frame.encode())).await?;
        }
        Ok(())
    }

    /// Says that no more standard input comes, sends a signal, or gives the terminal another size.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn control(&mut self, control: &ExecControl) -> Result<(), ClientError> {
        self.send_json(ExecStream::NAME, control).await
    }

    /// Asks the host for a sign of life, which the receiver waits for. To be called every [`KEEP_ALIVE`].
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn keep_alive(&mut self) -> Result<(), ClientError> {
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Closes this side: the command is left, or its end was heard.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn close(&mut self) -> Result<(), ClientError> {
        self.send(Message::Close(None)).await
    }

    async fn send_json(
        &mut self,
        call: &'static str,
        value: &impl serde::Serialize,
    ) -> Result<(), ClientError> {
        let text =
            serde_json::to_string(value).map_err(|source| ClientError::Encode { call, source })?;
        self.send(Message::text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ClientError> {
        tokio::time::timeout(SILENCE_DEADLINE, self.sink.send(message))
            .await
            .map_err(|_elapsed| ClientError::Deadline {
                call: ExecStream::NAME,
                after: SILENCE_DEADLINE,
            })?
            .map_err(|error| ClientError::WebSocket(Box::new(error)))
    }
}

impl ExecReceiver {
    /// What comes next; `None` when the host closed the connection. May be cancelled and called again.
    ///
    /// # Errors
    /// When the connection is broken, when nothing at all came for a minute, or when what came is not of this contract.
    pub async fn next(&mut self) -> Result<Option<ExecReceived>, ClientError> {
        loop {
            let message =
                tokio::time::timeout_at(self.heard + SILENCE_DEADLINE, self.stream.next())
                    .await
                    .map_err(|_elapsed| ClientError::Deadline {
                        call: ExecStream::NAME,
                        after: SILENCE_DEADLINE,
                    })?;
            self.heard = Instant::now();
            match message {
                None | Some(Ok(Message::Close(_))) => return Ok(None),
                Some(Err(error)) => return Err(ClientError::WebSocket(Box::new(error))),
                Some(Ok(Message::Binary(bytes))) => {
                    let frame = ExecFrame::decode(bytes).map_err(ClientError::Frame)?;
                    return Ok(Some(ExecReceived::Output(frame)));
                }
                Some(Ok(Message::Text(text))) => {
                    let event =
                        serde_json::from_str(text.as_str()).map_err(ClientError::Message)?;
                    return Ok(Some(ExecReceived::Event(event)));
                }
                // A sign of life; pings are answered below us.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
    }
}
