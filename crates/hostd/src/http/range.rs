//! The `Range` header, as far as it names one range of bytes (RFC 9110, section 14).

/// What is asked for of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it; also when the header is not one that we serve.
    All,
    /// From `first` to `last`, both included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte, below the size.
        last: u64,
    },
    /// A range that lies outside of the file.
    Nothing,
}

/// Reads the header's value for a file of `size` bytes.
pub(super) fn parse(value: Option<&str>, size: u64) -> Wanted {
    let Some(range) = value.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Wanted::All;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Wanted::All,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => {
            Wanted::Nothing
        }
        (Some(first), Some(last)) => Wanted::Part { first, last: last.min(size - 1) },
        (Some(first), None) if last.is_empty() => Wanted::Part { first, last: size - 1 },
        (None, Some(0)) if first.is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.is_empty() && size == 0 => Wanted::Nothing,
        (None, Some(suffix)) if first.is_empty() => {
            Wanted::Part { first: size.saturating_sub(suffix), last: size - 1 }
        }
        _ => Wanted::All,
    }
}

/// Digits and nothing else; a number too large to count lies beyond every file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_what_cannot_be_read_is_ignored() {
        let part = |first, last| Wanted::Part { first, last };
        for (value, wanted) in [
            (None, Wanted::All),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("bytes=2-"), part(2, 9)),
            (Some("bytes=2-99"), part(2, 9)),
            (Some("bytes=-3"), part(7, 9)),
            (Some("bytes=-99"), part(0, 9)),
            (Some("bytes=10-"), Wanted::Nothing),
            (Some("bytes=10-12"), Wanted::Nothing),
            (Some("bytes=99999999999999999999-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=3-2"), Wanted::All),
            (Some("bytes=0-1,3-4"), Wanted::All),
            (Some("bytes=a-b"), Wanted::All),
            (Some("bytes=+1-2"), Wanted::All),
            (Some("lines=0-1"), Wanted::All),
        ] {
            assert_eq!(parse(value, 10), wanted, "{value:?}");
        }
        assert_eq!(parse(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(parse(Some("bytes=-1"), 0), Wanted::Nothing);
    }
}
