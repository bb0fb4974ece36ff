//! One HTTP/2 connection to an agent, small enough for one per machine.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;

use super::error::ClientError;
use super::target::{Link, Target};
use crate::limits;

/// What requests are made on. Cheap to clone; the connection ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    sender: http2::SendRequest<Body>,
}

/// The connection's task.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) requests: Requests,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Over the link that is given, else over a new one.
    pub(super) async fn open(
        target: &Target,
        link: Option<Link>,
        deadline: Instant,
    ) -> Result<Connection, ClientError> {
        let link = match link {
            Some(link) => link,
            None => target.connect(deadline).await?,
        };
        let stream = target.open_stream(link, deadline).await?;
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(limits::SEND_BUFFER_BYTES)
            .max_header_list_size(limits::HEADER_LIST_BYTES)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = timeout_at(deadline, handshake)
            .await
            .map_err(|_elapsed| ClientError::Connect {
                target: target.to_string(),
                source: std::io::ErrorKind::TimedOut.into(),
            })?
            .map_err(|source| ClientError::Http2 { target: target.to_string(), source })?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an agent connection ended");
            }
        });
        Ok(Connection { requests: Requests { sender }, driver })
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.requests.sender.is_closed() && !self.driver.is_finished()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl tower::Service<http::Request<Body>> for Requests {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
