//! Who pays for shared blocks: the first file that has them.

use std::collections::BTreeMap;

use super::sys::Extent;

/// Blocks that somebody has been charged for: ranges of bytes on one device that neither touch nor overlap, from start to end.
#[derive(Debug, Default)]
pub(super) struct Charged(BTreeMap<u64, u64>);

impl Charged {
    /// Charges an extent; how many bytes of it nobody had before.
    pub(super) fn charge(&mut self, extent: &Extent) -> u64 {
        let (mut start, mut end) = (extent.start, extent.start.saturating_add(extent.length));
        let mut covered = 0;
        // From the range before it to the last that begins within it or right behind it.
        let first = self.0.range(..=start).next_back().filter(|(_, last)| **last >= start);
        let from = first.map_or(start, |(first, _)| *first);
        let touched: Vec<(u64, u64)> =
            self.0.range(from..=end).map(|(start, end)| (*start, *end)).collect();
        for (first, last) in touched {
            covered += last.min(end).saturating_sub(first.max(extent.start));
            start = start.min(first);
            end = end.max(last);
            self.0.remove(&first);
        }
        self.0.insert(start, end);
        extent.length.saturating_sub(covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u64, length: u64) -> Extent {
        Extent { start, length, is_shared: true }
    }

    #[test]
    fn each_block_is_charged_once_whatever_the_order() {
        let mut charged = Charged::default();
        assert_eq!(charged.charge(&extent(100, 50)), 50);
        assert_eq!(charged.charge(&extent(100, 50)), 0);
        assert_eq!(charged.charge(&extent(140, 20)), 10);
        assert_eq!(charged.charge(&extent(90, 200)), 140);
        assert_eq!(charged.charge(&extent(400, 10)), 10);
        assert_eq!(charged.charge(&extent(0, 500)), 290);
        assert_eq!(charged.charge(&extent(0, 500)), 0);
        assert_eq!(charged.0.len(), 1, "ranges that touch are one");
    }

    #[test]
    fn ranges_side_by_side_join() {
        let mut charged = Charged::default();
        for start in [20, 0, 10] {
            assert_eq!(charged.charge(&extent(start, 10)), 10);
        }
        assert_eq!(charged.0, BTreeMap::from([(0, 30)]));
    }
}
