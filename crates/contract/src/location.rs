//! URLs by which artifacts are reached. Their query may be a signature, so it is kept out of `Debug` (promise P11).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// Why a text is not a URL that is accepted here. The text is not repeated, since it may hold a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The text is no absolute URL.
    #[error("not an absolute URL")]
    Malformed(#[source] url::ParseError),
    /// The URL has a scheme that is not accepted in this place.
    #[error("the scheme is {scheme}, which is not one of {allowed}")]
    Scheme {
        /// The scheme of the URL.
        scheme: String,
        /// The schemes accepted in this place.
        allowed: &'static str,
    },
}

macro_rules! location {
    ($(#[$doc:meta])* $name:ident, [$($scheme:literal),+], $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, format = "uri", example = $example)]
        pub struct $name(Url);

        impl $name {
            /// The URL.
            #[must_use]
            pub fn as_url(&self) -> &Url {
                &self.0
            }

            /// The whole URL as text, signature and all.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl TryFrom<Url> for $name {
            type Error = LocationError;

            fn try_from(url: Url) -> Result<Self, LocationError> {
                match url.scheme() {
                    $($scheme)|+ => Ok(Self(url)),
                    other => Err(LocationError::Scheme {
                        scheme: other.chars().take(16).collect(),
                        allowed: concat!($($scheme, " "),+).trim_ascii_end(),
                    }),
                }
            }
        }

        impl FromStr for $name {
            type Err = LocationError;

            fn from_str(text: &str) -> Result<Self, LocationError> {
                Url::parse(text).map_err(LocationError::Malformed)?.try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = LocationError;

            fn try_from(text: String) -> Result<Self, LocationError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(location: $name) -> String {
                location.0.into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), without_secrets(&self.0))
            }
        }
    };
}

location!(
    /// Where a kernel, an initrd or a root image comes from: `http`, `https`, or `file` beneath the directories that the
    /// host allows.
    ArtifactUrl, ["http", "https", "file"], "https://images.example/debian/root.img"
);
location!(
    /// A URL signed ahead of time, by which the host reads or writes one object without credentials of its own.
    PresignedUrl, ["http", "https"], "https://bucket.example/key?X-Amz-Signature=..."
);
location!(
    /// Where a guest tells about something that happened in it.
    WebhookUrl, ["http", "https"], "https://hooks.example/login"
);

/// The URL without query, fragment, user and password, fit to be logged.
fn without_secrets(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_p11_signatures_and_passwords_are_not_in_the_debug_text() {
        let url: PresignedUrl =
            "https://user:pass@s3.example/key?X-Amz-Signature=abc".parse().unwrap();
        assert_eq!(format!("{url:?}"), "PresignedUrl(https://s3.example/key)");
        assert!(url.as_str().ends_with("X-Amz-Signature=abc"));
    }

    #[test]
    fn only_the_schemes_of_the_place_are_accepted() {
        "file:///images/kernel".parse::<ArtifactUrl>().unwrap();
        "http://host/kernel".parse::<ArtifactUrl>().unwrap();
        for wrong in ["", "kernel", "/images/kernel", "ftp://host/kernel", "data:,x"] {
            wrong.parse::<ArtifactUrl>().unwrap_err();
        }
        let error = "file:///etc/passwd".parse::<PresignedUrl>().unwrap_err();
        assert_eq!(error.to_string(), "the scheme is file, which is not one of http https");
    }
}
