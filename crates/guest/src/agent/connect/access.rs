//! Who may call, and as whom processes run.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::watch;

use super::error::{Code, ConnectError};

/// As whom a process runs when the client does not say.
const DEFAULT_USER: &str = "node";

/// Where E2B's clients put the token.
const TOKEN_HEADER: &str = "x-access-token";

/// Whether the server may serve, and whom. Closed until the host has said so. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Access {
    token: Arc<Mutex<String>>,
    is_open: watch::Sender<bool>,
}

impl Default for Access {
    fn default() -> Access {
        Access { token: Arc::default(), is_open: watch::Sender::new(false) }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Access")
            .field("is_open", &*self.is_open.borrow())
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Lets clients in that show this token; everybody who gets here when it is empty.
    pub(crate) fn open(&self, token: &str) {
        token.clone_into(&mut self.token());
        self.is_open.send_replace(true);
    }

    /// Waits until clients may be let in.
    pub(super) async fn opened(&self) {
        let mut is_open = self.is_open.subscribe();
        // The sender lives in this value: it cannot close.
        if is_open.wait_for(|is_open| *is_open).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn token(&self) -> MutexGuard<'_, String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a request without the token, where there is one.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), ConnectError> {
        let token = self.token();
        let shown = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let is_known = |shown: &[u8]| is_equal(shown, token.as_bytes());
        if token.is_empty() || shown.is_some_and(is_known) || bearer.is_some_and(is_known) {
            return Ok(());
        }
        Err(ConnectError::new(Code::Unauthenticated, "the access token is missing or wrong"))
    }
}

/// Takes as long for every token of one length.
fn is_equal(shown: &[u8], token: &[u8]) -> bool {
    shown.len() == token.len()
        && shown.iter().zip(token).fold(0, |difference, (left, right)| difference | (left ^ right))
            == 0
}

/// The user of basic authentication; a password has no meaning.
pub(super) fn user(headers: &HeaderMap) -> Result<String, ConnectError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(DEFAULT_USER.to_owned()) };
    let Some(basic) = value.as_bytes().strip_prefix(b"Basic ") else {
        return Ok(DEFAULT_USER.to_owned());
    };
    let unreadable = || ConnectError::invalid("the basic authentication cannot be read");
    let decoded = STANDARD.decode(basic).map_err(|_invalid| unreadable())?;
    let text = String::from_utf8(decoded).map_err(|_invalid| unreadable())?;
    match text.split(':').next() {
        Some("") | None => Ok(DEFAULT_USER.to_owned()),
        Some(user) => Ok(user.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(http::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn promise_p11_a_request_without_the_token_is_refused() {
        let access = Access::default();
        access.open("secret");
        for wrong in ["", "secre", "secret ", "SECRET"] {
            access.check(&headers(TOKEN_HEADER, wrong)).unwrap_err();
        }
        access.check(&HeaderMap::new()).unwrap_err();
        access.check(&headers(TOKEN_HEADER, "secret")).unwrap();
        access.check(&headers("authorization", "Bearer secret")).unwrap();
        access.open("");
        access.check(&HeaderMap::new()).unwrap();
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn the_user_is_that_of_basic_authentication() {
        let of = |value: &str| user(&headers("authorization", value));
        assert_eq!(of("Basic cm9vdDo=").unwrap(), "root");
        assert_eq!(of("Basic Og==").unwrap(), "node");
        assert_eq!(of("Bearer x").unwrap(), "node");
        assert_eq!(user(&HeaderMap::new()).unwrap(), "node");
        of("Basic ???").unwrap_err();
    }
}
