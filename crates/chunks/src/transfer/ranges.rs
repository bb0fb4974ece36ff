//! Which ranges of an object to ask for. Pure.

use std::ops::Range;

/// Joins missing chunks, given in ascending order, into ranges of neighbours of at most
/// `range_bytes`, or one chunk.
pub(super) fn plan_ranges(
    missing: impl IntoIterator<Item = u64>,
    chunk_bytes: u32,
    range_bytes: u64,
) -> Vec<Range<u64>> {
    let most_chunks = (range_bytes / u64::from(chunk_bytes)).max(1);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for chunk in missing {
        match ranges.last_mut() {
            Some(range) if range.end == chunk && range.end - range.start < most_chunks => {
                range.end += 1
            }
            _ => ranges.push(chunk..chunk + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_range_up_to_its_limit_and_holes_are_not_asked_for() {
        let plan =
            |missing: &[u64], range_bytes| plan_ranges(missing.iter().copied(), 4096, range_bytes);
        assert_eq!(plan(&[], 1 << 20), []);
        assert_eq!(plan(&[0, 1, 2, 5, 6], 1 << 20), [0..3, 5..7]);
        assert_eq!(plan(&[0, 1, 2, 3, 4], 8192), [0..2, 2..4, 4..5]);
        assert_eq!(plan(&[0, 1], 1), [0..1, 1..2]);
    }
}
