//! Digests as they stand on the wire: the SHA-256 of an artifact, the BLAKE3 that is the name of a pack.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::IdError;

macro_rules! hex_digest {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
        pub struct $name(String);

        impl $name {
            /// The digest as 64 lower-case hexadecimal digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The digest of the given 32 bytes.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                Self(digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    Ok(Self(text.to_ascii_lowercase()))
                } else {
                    Err(IdError::new($kind, "64 hexadecimal digits"))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> String {
                digest.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

hex_digest! {
    /// A SHA-256 in 64 hexadecimal digits; upper case is read, lower case is written.
    Sha256Hex, "SHA-256"
}

hex_digest! {
    /// The name of a pack: the BLAKE3 of its bytes in 64 hexadecimal digits.
    PackId, "pack id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_64_hexadecimal_digits_in_lower_case() {
        let upper = "AB".repeat(32);
        assert_eq!(upper.parse::<Sha256Hex>().unwrap().as_str(), "ab".repeat(32));
        assert_eq!(Sha256Hex::from_bytes(&[0xab; 32]).as_str(), "ab".repeat(32));
        for wrong in ["", "ab", &"g".repeat(64), &"a".repeat(65)] {
            wrong.parse::<Sha256Hex>().unwrap_err();
        }
    }
}
