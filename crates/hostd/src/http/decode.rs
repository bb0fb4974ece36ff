//! Requests, decoded at the edge with the forgiving types of the contract; what cannot be read is answered here.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use contract::operation::IdempotencyKey;
use contract::{ErrorCode, OperationId, Sha256Hex};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::api::Api;
use super::error::Failure;

/// How long a caller may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(60);

/// The identifiers of a path.
#[derive(Debug)]
pub(super) struct At<P>(pub(super) P);

impl<P: DeserializeOwned + Send> FromRequestParts<Api> for At<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match Path::<P>::from_request_parts(parts, api).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(Failure::malformed(rejection.body_text())),
        }
    }
}

/// What follows the path after `?`.
#[derive(Debug)]
pub(super) struct Asked<Q>(pub(super) Q);

impl<Q: DeserializeOwned> FromRequestParts<Api> for Asked<Q> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match Query::<Q>::from_request_parts(parts, api).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Failure::malformed(rejection.body_text())),
        }
    }
}

/// How a mutation is found again: the caller's key, and what the key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The `Idempotency-Key`.
    pub(super) key: Option<IdempotencyKey>,
    /// SHA-256 of method, path and body.
    pub(super) sha256: Sha256Hex,
}

/// A mutation without a body of its own; what is sent all the same is ignored.
#[derive(Debug)]
pub(super) struct Bare(pub(super) Origin);

impl FromRequest<Api> for Bare {
    type Rejection = Failure;

    async fn from_request(request: Request, _api: &Api) -> Result<Self, Failure> {
        Origin::of(request.method(), request.uri(), request.headers(), &[]).map(Self)
    }
}

/// A mutation with a body.
#[derive(Debug)]
pub(super) struct Sent<T> {
    /// What was sent.
    pub(super) body: T,
    /// How it is found again.
    pub(super) origin: Origin,
}

impl<T: DeserializeOwned> FromRequest<Api> for Sent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, api.limits.request_bytes).await?;
        let origin = Origin::of(&parts.method, &parts.uri, &parts.headers, &bytes)?;
        // A request of which everything is optional may come without a body.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        // The text of an error of serde names fields and places, and at most the value of an enum.
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::malformed(format!("the body is not what is expected: {error}"))
        })?;
        Ok(Self { body, origin })
    }
}

async fn read(body: axum::body::Body, limit: usize) -> Result<Bytes, Failure> {
    let collected = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect());
    match collected.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Failure::new(ErrorCode::TooLarge, format!("a body has at most {limit} bytes")))
        }
        Ok(Err(error)) => Err(Failure::malformed(format!("the body ended early: {error}"))),
        Err(_elapsed) => Err(Failure::malformed("the body did not come in time")),
    }
}

impl Origin {
    /// Of what the daemon does without being asked by name.
    pub(super) fn unasked() -> Self {
        Self { key: None, sha256: Sha256Hex::from_bytes(&[0; 32]) }
    }

    /// Of one child of an operation: a key of its own, which repeats no other.
    pub(super) fn child(of: &OperationId, name: &str) -> Self {
        let key = format!("{of}/{name}").parse().expect("ids are visible ASCII, and short enough");
        let sha256 = Sha256::new_with_prefix(name.as_bytes()).finalize();
        Self { key: Some(key), sha256: Sha256Hex::from_bytes(&sha256.into()) }
    }

    /// Of a request with this body.
    pub(super) fn of(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Self, Failure> {
        let mut sha256 = Sha256::new();
        for part in [method.as_str().as_bytes(), uri.path().as_bytes(), body] {
            sha256.update((part.len() as u64).to_be_bytes());
            sha256.update(part);
        }
        Ok(Self { key: key(headers)?, sha256: Sha256Hex::from_bytes(&sha256.finalize().into()) })
    }
}

fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let Some(value) = headers.get(IdempotencyKey::HEADER) else { return Ok(None) };
    let text = value.to_str().map_err(|error| error.to_string());
    let key = text.and_then(|text| text.parse::<IdempotencyKey>().map_err(|e| e.to_string()));
    key.map(Some).map_err(Failure::malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(path: &str, key: Option<&str>, body: &[u8]) -> Result<Origin, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(IdempotencyKey::HEADER, key.parse().unwrap());
        }
        Origin::of(&Method::POST, &path.parse().unwrap(), &headers, body)
    }

    #[test]
    fn a_request_is_its_method_path_and_body_and_not_what_it_waits_for() {
        let first = origin("/machines", Some("k"), b"{}").unwrap();
        assert_eq!(first, origin("/machines?wait=running", Some("k"), b"{}").unwrap());
        assert_ne!(first.sha256, origin("/machines", None, b"{ }").unwrap().sha256);
        assert_ne!(first.sha256, origin("/machine", None, b"s{}").unwrap().sha256);
    }

    #[test]
    fn a_key_is_visible_ascii_of_128_characters_at_most() {
        assert_eq!(
            origin("/", Some(&"k".repeat(129)), b"").unwrap_err().code,
            ErrorCode::Malformed
        );
        assert_eq!(origin("/", Some("a b"), b"").unwrap_err().code, ErrorCode::Malformed);
        assert_eq!(origin("/", None, b"").unwrap().key, None);
    }
}
