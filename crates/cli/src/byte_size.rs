//! A size as people write it: `512M`, `2G`, `1048576`.

use std::{fmt, str::FromStr};

use serde::Serialize;

const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// A number of bytes. Reads and shows binary units: `2G` is 2 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a size is a whole number of bytes above zero, with K, M, G or T after it: 512M, 2G")]
pub struct InvalidByteSize;

impl ByteSize {
    /// This many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many MiB.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.trim_end_matches("IB").trim_end_matches('B');
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| digits.strip_suffix(*unit).map(|digits| (digits, *shift)))
            .unwrap_or((digits, 0));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidByteSize);
        }
        let number: u64 = digits.parse().map_err(|_| InvalidByteSize)?;
        let bytes = number.checked_mul(1 << shift).ok_or(InvalidByteSize)?;
        if bytes == 0 { Err(InvalidByteSize) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for ByteSize {
    /// The largest unit that leaves at least one, with one decimal below ten: `1.5 GiB`, `243 MiB`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().rev().find(|(_, shift)| self.0 >= 1 << shift);
        let Some((name, shift)) = unit else {
            return write!(formatter, "{} B", self.0);
        };
        let value = self.0 as f64 / (1u64 << shift) as f64;
        if value < 10.0 && value.fract() > 0.05 {
            write!(formatter, "{value:.1} {name}iB")
        } else {
            write!(formatter, "{value:.0} {name}iB")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_units() {
        let table = [
            ("1048576", 1 << 20),
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("2GiB", 2 << 30),
            ("20gb", 20 << 30),
            ("1T", 1 << 40),
        ];
        for (text, bytes) in table {
            assert_eq!(text.parse(), Ok(ByteSize::from_bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "G", "0", "-1", "1.5G", "2X", "99999999999999999999", "99999999T", "+1"] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidByteSize), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_short() {
        let table =
            [(512, "512 B"), (243 << 20, "243 MiB"), (3 << 29, "1.5 GiB"), (2 << 30, "2 GiB")];
        for (bytes, text) in table {
            assert_eq!(ByteSize::from_bytes(bytes).to_string(), text);
        }
    }
}
