//! URLs whose query string is a secret (promise P11).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

/// An http or https URL, pre-signed or not. Shows scheme, host and path, and never its query,
/// fragment or user. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretUrl(Arc<Url>);

/// A text that is no URL to transfer with. Does not repeat the text, which may hold a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUrlError {
    /// Not a URL.
    #[error("not a URL")]
    Malformed(#[source] url::ParseError),
    /// A URL of another scheme.
    #[error("not an http or https URL")]
    Scheme,
}

impl SecretUrl {
    /// The whole URL, for the request itself and for nothing else.
    pub(super) fn expose(&self) -> &Url {
        &self.0
    }

    /// The URL that a `Location` header means, seen from this one.
    ///
    /// # Errors
    /// When it is no http or https URL, or leads from https to http.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, ParseUrlError> {
        let target = Self::try_from(self.0.join(location).map_err(ParseUrlError::Malformed)?)?;
        if self.0.scheme() == "https" && target.0.scheme() != "https" {
            return Err(ParseUrlError::Scheme);
        }
        Ok(target)
    }
}

impl TryFrom<Url> for SecretUrl {
    type Error = ParseUrlError;

    fn try_from(url: Url) -> Result<Self, ParseUrlError> {
        match url.scheme() {
            "http" | "https" => Ok(Self(Arc::new(url))),
            _ => Err(ParseUrlError::Scheme),
        }
    }
}

impl FromStr for SecretUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, ParseUrlError> {
        Self::try_from(Url::parse(text).map_err(ParseUrlError::Malformed)?)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or(""))?;
        if let Some(port) = self.0.port() {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(self.0.path())?;
        if self.0.query().is_some() { formatter.write_str("?...") } else { Ok(()) }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_shown_promise_p11() {
        let url: SecretUrl =
            "https://user:pass@store.example:9000/bucket/key?X-Amz-Signature=5ec7e7#frag"
                .parse()
                .expect("a URL");
        for text in [url.to_string(), format!("{url:?}"), format!("{url:#?}")] {
            assert!(text.contains("https://store.example:9000/bucket/key?..."), "{text}");
            for secret in ["5ec7e7", "pass", "user", "frag"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn only_http_and_https_are_urls_here_and_errors_do_not_repeat_the_text() {
        for text in ["", "file:///etc/passwd", "ftp://a/b?secret", "not a url secret"] {
            let error = text.parse::<SecretUrl>().expect_err(text);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        let url: SecretUrl = "https://a.example/x/y?z".parse().expect("a URL");
        assert_eq!(
            url.redirected("../w").map(|url| url.to_string()),
            Ok("https://a.example/w".to_owned())
        );
        assert_eq!(url.redirected("http://a.example/"), Err(ParseUrlError::Scheme));
        assert_eq!(url.redirected("file:///etc/shadow"), Err(ParseUrlError::Scheme));
    }
}
