//! The `Content-Range` header of a partial answer (RFC 9110, 14.4).

/// `bytes first-last/total`, where the total may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = match total {
            "*" => None,
            known => Some(known.parse().ok()?),
        };
        let range = Self { first: first.parse().ok()?, last: last.parse().ok()?, total };
        let is_sound = range.first <= range.last && total.is_none_or(|total| range.last < total);
        (unit.eq_ignore_ascii_case("bytes") && is_sound).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_ranges_are_read_and_others_are_not() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::parse("bytes 0-9/10"), range(0, 9, Some(10)));
        assert_eq!(ContentRange::parse("Bytes 5-5/*"), range(5, 5, None));
        for text in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-0/10",
            "bytes 0-10/10",
            "items 0-9/10",
            "bytes 0-9",
            "bytes a-b/c",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text:?}");
        }
    }
}
