//! One connection to a host: opened for one request, ended with its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::{Address, Client, ClientError};

/// The longest answer that is read whole. The longest there is holds a file of a guest in base 64.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;
/// For how long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The task that moves a connection's bytes; it ends with this handle.
#[derive(Debug)]
pub(super) struct Driver(JoinHandle<Result<(), hyper::Error>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a request: whole, or as it comes.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer whose body is still to come, with the connection that it comes over.
pub(super) struct Answering {
    pub(super) response: Response<Incoming>,
    pub(super) driver: Driver,
}

impl Client {
    /// Sends a request over a connection of its own.
    pub(super) async fn exchange(
        &self,
        call: &'static str,
        mut request: Request<RequestBody>,
    ) -> Result<Answering, ClientError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(http::header::AUTHORIZATION, authorization.clone());
        }
        let (mut sender, driver) = self.open(call).await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|source| ClientError::Transport { call, source })?;
        Ok(Answering { response, driver })
    }

    async fn open(
        &self,
        call: &'static str,
    ) -> Result<(SendRequest<RequestBody>, Driver), ClientError> {
        let stream = tokio::time::timeout(CONNECT_DEADLINE, connect(&self.address))
            .await
            .map_err(|_elapsed| ClientError::Deadline { call, after: CONNECT_DEADLINE })?
            .map_err(|source| ClientError::Connect { address: self.address.clone(), source })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ClientError::Transport { call, source })?;
        Ok((sender, Driver(tokio::spawn(connection.with_upgrades()))))
    }

    /// What stands in the `Host` header.
    pub(super) fn authority(&self) -> &str {
        match &self.address {
            Address::Unix(_) => "localhost",
            Address::Tcp(authority) => authority,
        }
    }
}

async fn connect(address: &Address) -> std::io::Result<Box<dyn Stream>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(authority) => {
            let stream = TcpStream::connect(authority).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

/// Reads the whole body of an answer.
pub(super) async fn read_whole(call: &'static str, body: Incoming) -> Result<Bytes, ClientError> {
    match Limited::new(body, ANSWER_LIMIT_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ClientError::TooLong { call, limit_bytes: ANSWER_LIMIT_BYTES })
        }
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(source) => ClientError::Transport { call, source: *source },
            Err(_unknown) => ClientError::TooLong { call, limit_bytes: ANSWER_LIMIT_BYTES },
        }),
    }
}
