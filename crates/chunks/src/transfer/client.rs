//! The one HTTP client, shared by every transfer of a process.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Request, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::warn;

use super::error::TransferError;
use super::refusal::check_status;
use super::url::SecretUrl;
use crate::limits::TransferLimits;

/// Idle connections are kept this long: longer than the gap between two parts, shorter than stores
/// close them.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Uploads, downloads and fetches. Cheap to clone; clones share connections and the total bound.
#[derive(Debug, Clone)]
pub struct TransferClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    limits: TransferLimits,
    requests: Semaphore,
}

impl TransferClient {
    /// Makes the client. TLS is rustls on ring, trusting the roots of the operating system; where
    /// it has none, https fails and http works.
    pub fn new(limits: TransferLimits) -> Result<Self, TransferError> {
        // An error means that the process has a provider already, which serves as well.
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::trace!("a TLS provider was installed before");
        }
        let http = build(&limits, Roots::System).or_else(|error| {
            warn!(error = ?error, "no TLS roots on this system, https will fail");
            build(&limits, Roots::None)
        });
        let http = http.map_err(TransferError::Client)?;
        let requests = Semaphore::new(limits.parallel_requests_total.max(1));
        Ok(Self { inner: Arc::new(Inner { http, limits, requests }) })
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &TransferLimits {
        &self.inner.limits
    }

    /// When a call that begins now must be done.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.limits().total_timeout
    }

    /// Runs a whole call under its total deadline.
    pub(super) async fn until<Output>(
        &self,
        deadline: Instant,
        call: impl Future<Output = Result<Output, TransferError>>,
    ) -> Result<Output, TransferError> {
        match tokio::time::timeout_at(deadline, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransferError::Deadline { timeout: self.limits().total_timeout }),
        }
    }

    /// Runs one attempt of a request under its own deadline.
    pub(super) async fn attempt<Output>(
        &self,
        url: &SecretUrl,
        attempt: impl Future<Output = Result<Output, TransferError>>,
    ) -> Result<Output, TransferError> {
        let timeout = self.limits().request_timeout;
        match tokio::time::timeout(timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransferError::Timeout { url: url.clone(), timeout }),
        }
    }

    /// Waits for a place among the requests under way in the whole client.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.inner.requests.acquire().await.expect("this semaphore is never closed")
    }

    pub(super) fn get(&self, url: &SecretUrl) -> reqwest::RequestBuilder {
        self.inner.http.get(url.expose().clone())
    }

    pub(super) fn put(&self, url: &SecretUrl) -> reqwest::RequestBuilder {
        self.inner.http.put(url.expose().clone())
    }

    /// Sends a request and passes on a success or a redirect.
    pub(super) async fn send(
        &self,
        url: &SecretUrl,
        request: Request,
    ) -> Result<Response, TransferError> {
        let response =
            self.inner.http.execute(request).await.map_err(TransferError::connection(url))?;
        check_status(url, response).await
    }

    /// The next piece of a body, or none at its end; an error when none comes for too long.
    pub(super) async fn next_piece(
        &self,
        url: &SecretUrl,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, TransferError> {
        let timeout = self.limits().stall_timeout;
        match tokio::time::timeout(timeout, response.chunk()).await {
            Ok(piece) => piece.map_err(TransferError::connection(url)),
            Err(_) => Err(TransferError::Timeout { url: url.clone(), timeout }),
        }
    }
}

enum Roots {
    System,
    None,
}

fn build(limits: &TransferLimits, roots: Roots) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .connect_timeout(limits.connect_timeout)
        .tcp_user_timeout(limits.stall_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(limits.parallel_requests_total)
        // Bodies of uploads cannot be sent twice, and a pre-signed URL is signed for one host.
        .redirect(Policy::none())
        .referer(false)
        .user_agent(concat!("computer-host/", env!("CARGO_PKG_VERSION")));
    match roots {
        Roots::System => builder,
        Roots::None => builder.tls_certs_only([]),
    }
    .build()
}
