//! The name of an image: one directory name, never a path.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const LONGEST: usize = 64;

/// A checked image name: letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(String);

/// Why a text is no image name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image name is 1 to {LONGEST} letters, digits, '-', '_' or '.', and begins and ends with a letter or digit"
)]
pub struct InvalidImageName;

impl ImageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageName {
    type Err = InvalidImageName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let is_valid = text.len() <= LONGEST
            && text.bytes().all(is_inner)
            && is_edge(text.bytes().next())
            && is_edge(text.bytes().next_back());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidImageName) }
    }
}

impl TryFrom<String> for ImageName {
    type Error = InvalidImageName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_name_never_becomes_a_path_promise_p1() {
        let long = "a".repeat(LONGEST + 1);
        for text in ["", ".", "..", "a/b", "../a", ".hidden", "a.", "-a", "a\0b", "a\n", "é", &long]
        {
            assert_eq!(text.parse::<ImageName>(), Err(InvalidImageName), "{text:?}");
        }
    }

    #[test]
    fn ordinary_names_are_taken() {
        for text in ["default", "minimal", "debian-12.6", "a", "Node_22"] {
            assert_eq!(text.parse::<ImageName>().map(String::from).as_deref(), Ok(text));
        }
    }
}
