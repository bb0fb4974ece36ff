//! Names that may become part of a path or a key, checked once (promise P1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name accepted, well under NAME_MAX (255) with room for our suffixes.
const MAX_LENGTH: usize = 128;

/// A text that is not a name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseNameError {
    /// The text, cut to a bounded length.
    pub text: String,
    /// What was expected instead.
    pub expected: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $is_valid:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                if text.len() <= MAX_LENGTH && $is_valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                let text = text.chars().take(MAX_LENGTH).collect();
                Err(ParseNameError { text, expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseNameError;

            fn try_from(text: String) -> Result<Self, ParseNameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name! {
    /// Which artifact of a snapshot: `memory`, `vmstate`, `disk-system`, `disk-user-0`.
    ArtifactId,
    "an artifact id: lower-case letters, digits and inner hyphens, at most 128",
    is_artifact_id
}

name! {
    /// A plain file name: no separator, no leading dot, so never a way out of its directory.
    FileName,
    "a plain file name: letters, digits, `.`, `_` and `-`, not beginning with a dot, at most 128",
    is_file_name
}

fn is_artifact_id(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_file_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_contract_are_names() {
        for id in ["memory", "vmstate", "disk-system", "disk-user-12", "manifest"] {
            assert!(id.parse::<ArtifactId>().is_ok(), "{id}");
        }
        for name in ["memory.bin", "system.img", "user-0.img", "manifest.json"] {
            assert!(name.parse::<FileName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_could_leave_their_directory_are_refused_promise_p1() {
        let long = "a".repeat(300);
        for text in
            ["", ".", "..", "a/../b", "../x", "/etc/passwd", "a\0b", "a\nb", ".hidden", "å", &long]
        {
            assert!(text.parse::<FileName>().is_err(), "{text:?}");
            assert!(text.parse::<ArtifactId>().is_err(), "{text:?}");
        }
    }
}
