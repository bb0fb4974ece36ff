//! Requests to an object store: small ones, each with a deadline, a bounded answer and a few tries.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Response};
use url::Url;

use super::error::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a request may take. Completing a multipart upload takes some stores minutes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a request is tried.
const TRIES: u32 = 4;
/// How long to wait before the second try; each further wait is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest answer that is read. The longest there is is the index of a snapshot.
pub(super) const ANSWER_LIMIT_BYTES: usize = 4 << 20;
/// How much of a refusal is told.
const TOLD_BYTES: usize = 400;

/// One request. Asking again for the same does no harm for any request that is made here.
#[derive(Debug, Clone)]
pub(super) struct StoreRequest {
    /// What it does, for errors.
    pub(super) action: &'static str,
    pub(super) method: Method,
    pub(super) key: String,
    pub(super) url: Url,
    pub(super) body: Bytes,
}

/// A client that trusts the roots of the system; where there are none, http works and https does not.
pub(super) fn client() -> Result<Client, StoreError> {
    // An error means that the process has a provider already, which serves as well.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("a TLS provider was installed before");
    }
    let builder = || -> ClientBuilder {
        Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A URL is signed for one host.
            .redirect(Policy::none())
            .user_agent(concat!("computer/", env!("CARGO_PKG_VERSION")))
    };
    builder()
        .build()
        .or_else(|_no_roots| builder().tls_certs_only([]).build())
        .map_err(StoreError::Client)
}

/// Sends a request, again where that may help, and reads the answer.
pub(super) async fn send(client: &Client, request: &StoreRequest) -> Result<Bytes, StoreError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match send_once(client, request).await {
            Err(error) if may_pass(&error) => tokio::time::sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    send_once(client, request).await
}

fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Request { .. } => true,
        StoreError::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
        _ => false,
    }
}

async fn send_once(client: &Client, request: &StoreRequest) -> Result<Bytes, StoreError> {
    let StoreRequest { action, method, key, url, body } = request.clone();
    // The URL holds a signature, so it is kept out of errors.
    let failed = |source: reqwest::Error| StoreError::Request {
        action,
        key: key.clone(),
        source: source.without_url(),
    };
    let response = client.request(method, url).body(body).send().await.map_err(failed)?;
    let status = response.status();
    let answer = read(response, &key).await.map_err(|error| error.unwrap_or_else(failed))?;
    if status.is_success() {
        return Ok(answer);
    }
    let said: String = String::from_utf8_lossy(&answer).trim().chars().take(TOLD_BYTES).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(StoreError::Refused { action, key, status: status.as_u16(), said })
}

async fn read(mut response: Response, key: &str) -> Result<Bytes, ReadError> {
    let mut answer = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(ReadError::Broken)? {
        answer.extend_from_slice(&piece);
        if answer.len() > ANSWER_LIMIT_BYTES {
            return Err(ReadError::TooLong(StoreError::TooLong {
                key: key.to_owned(),
                limit_bytes: ANSWER_LIMIT_BYTES,
            }));
        }
    }
    Ok(answer.freeze())
}

enum ReadError {
    Broken(reqwest::Error),
    TooLong(StoreError),
}

impl ReadError {
    fn unwrap_or_else(self, failed: impl FnOnce(reqwest::Error) -> StoreError) -> StoreError {
        match self {
            Self::Broken(source) => failed(source),
            Self::TooLong(error) => error,
        }
    }
}
