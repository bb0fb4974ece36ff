//! The bearer token of the TCP listener. The Unix socket has none: who may open the file may use it (promise P11).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use contract::{ErrorCode, Secret};
use sha2::{Digest, Sha256};

use super::error::Failure;

/// The token, hashed: what is compared has one length, and the token itself is not kept.
#[derive(Clone)]
pub struct Token(Arc<[u8; 32]>);

impl Token {
    /// Remembers a token.
    pub fn new(token: &Secret) -> Self {
        Self(Arc::new(Sha256::digest(token.reveal()).into()))
    }

    /// Whether a request shows it.
    pub(super) fn is_shown_in(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        shown.is_some_and(|shown| self.is(shown))
    }

    /// Compares in a time that does not depend on what is equal.
    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        let difference = self.0.iter().zip(shown).fold(0, |sum, (one, other)| sum | (one ^ other));
        std::hint::black_box(difference) == 0
    }
}

/// Lets requests pass that show the token.
pub(super) async fn require(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_shown_in(request.headers()) {
        return next.run(request).await;
    }
    Failure::new(ErrorCode::Unauthenticated, "this listener wants the bearer token").into_response()
}
