//! One request, over a connection of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::super::jail_root::JailRoot;
use super::error::ApiError;
use super::message::{InstanceInfo, VmmVersion};
use super::request::Request;

/// The longest answer that is read: a Firecracker that a guest has taken over does not fill the daemon.
const ANSWER_LIMIT_BYTES: usize = 256 * 1024;

/// The API of one Firecracker. Holds no connection.
#[derive(Debug)]
pub struct Api<'a> {
    root: &'a JailRoot,
    socket: &'a str,
}

/// What Firecracker answers when it refuses.
#[derive(Deserialize)]
struct Fault {
    fault_message: String,
}

impl<'a> Api<'a> {
    /// The API whose socket has this name at the top of the jail.
    pub fn new(root: &'a JailRoot, socket: &'a str) -> Self {
        Self { root, socket }
    }

    /// `GET /`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn describe(&self, deadline: Duration) -> Result<InstanceInfo, ApiError> {
        self.fetch(&Request::Describe, deadline).await
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn version(&self, deadline: Duration) -> Result<VmmVersion, ApiError> {
        self.fetch(&Request::Version, deadline).await
    }

    /// Sends a request that is answered without content.
    ///
    /// # Errors
    /// When Firecracker cannot be reached, is silent until `deadline`, refuses, or is none. Nothing is tried twice.
    pub async fn send(&self, request: &Request, deadline: Duration) -> Result<(), ApiError> {
        self.exchange(request, deadline).await.map(drop)
    }

    async fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request,
        deadline: Duration,
    ) -> Result<T, ApiError> {
        let body = self.exchange(request, deadline).await?;
        serde_json::from_slice(&body).map_err(|error| nonsense(request, error.to_string()))
    }

    async fn exchange(&self, request: &Request, deadline: Duration) -> Result<Bytes, ApiError> {
        tokio::time::timeout(deadline, self.converse(request))
            .await
            .unwrap_or_else(|_elapsed| Err(ApiError::Silent { request: request.name(), deadline }))
    }

    async fn converse(&self, request: &Request) -> Result<Bytes, ApiError> {
        let broken = |source| ApiError::Broken { request: request.name(), source };
        let stream = self.connect().await.map_err(ApiError::Connect)?;
        let (mut sender, connection) =
            http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = Driver(tokio::spawn(connection));
        let response = sender.send_request(to_http(request)?).await.map_err(broken)?;
        let status = response.status();
        let body = match Limited::new(response.into_body(), ANSWER_LIMIT_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(nonsense(request, format!("it exceeds {ANSWER_LIMIT_BYTES} bytes")));
            }
            Err(error) => match error.downcast() {
                Ok(source) => return Err(broken(*source)),
                Err(error) => return Err(nonsense(request, error.to_string())),
            },
        };
        drop(driver);
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Fault>(&body) {
            Ok(fault) => Err(ApiError::Refused {
                request: request.name(),
                status: status.as_u16(),
                fault_message: fault.fault_message,
            }),
            Err(_) => Err(nonsense(request, format!("status {status} without a fault_message"))),
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let socket = self.root.socket(self.socket)?;
        UnixStream::connect(socket.path()).await
    }
}

/// Moves a connection's bytes; ends with this value.
struct Driver(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn to_http(request: &Request) -> Result<http::Request<Full<Bytes>>, ApiError> {
    let body = request.body().map_err(|error| nonsense(request, error.to_string()))?;
    http::Request::builder()
        .method(request.method())
        .uri(request.path())
        .header(http::header::HOST, "localhost")
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| nonsense(request, error.to_string()))
}

fn nonsense(request: &Request, reason: String) -> ApiError {
    ApiError::Nonsense { request: request.name(), reason }
}
