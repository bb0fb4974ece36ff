//! How a file is cut into the parts of a multipart upload.

/// The smallest part that is cut, but for the last one of a file. S3 takes no less than 5 MiB.
const SMALLEST_BYTES: u64 = 8 << 20;
/// The largest part that is cut while the number of parts allows it.
const LARGEST_BYTES: u64 = 64 << 20;
/// How many parts a file is cut into when it can: enough to send many at once and to lose little with one.
const WANTED_PARTS: u64 = 64;
/// How many parts S3 takes.
const MOST_PARTS: u64 = 10_000;

/// One part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartRange {
    /// Its number, from 1.
    pub(super) number: u16,
    /// Where it begins.
    pub(super) offset_bytes: u64,
    /// How long it is.
    pub(super) size_bytes: u64,
}

/// Cuts a file of `size_bytes` into parts that cover it without gap or overlap. An empty file is one empty part.
pub(super) fn cut(size_bytes: u64) -> Vec<PartRange> {
    let part_bytes = part_bytes(size_bytes);
    let count = size_bytes.div_ceil(part_bytes).max(1);
    (0..count)
        .map(|index| {
            let offset_bytes = index * part_bytes;
            PartRange {
                number: u16::try_from(index + 1).expect("there are at most 10,000 parts"),
                offset_bytes,
                size_bytes: part_bytes.min(size_bytes - offset_bytes),
            }
        })
        .collect()
}

fn part_bytes(size_bytes: u64) -> u64 {
    let wanted = size_bytes.div_ceil(WANTED_PARTS).next_multiple_of(1 << 20);
    let fewest = size_bytes.div_ceil(MOST_PARTS);
    wanted.clamp(SMALLEST_BYTES, LARGEST_BYTES).max(fewest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u64; 10] = [
        0,
        1,
        (8 << 20) - 1,
        8 << 20,
        (8 << 20) + 1,
        512 << 20,
        (3 << 30) + 7,
        100 << 30,
        (640 << 30) + 1,
        5 << 40,
    ];

    #[test]
    fn promise_p12_parts_cover_a_file_without_gap_or_overlap() {
        for size in SIZES {
            let mut end = 0;
            for (index, part) in cut(size).iter().enumerate() {
                assert_eq!(usize::from(part.number), index + 1);
                assert_eq!(part.offset_bytes, end);
                end += part.size_bytes;
            }
            assert_eq!(end, size);
        }
    }

    #[test]
    fn parts_are_of_a_size_and_number_that_stores_take() {
        for size in SIZES {
            let parts = cut(size);
            assert!((1..=10_000).contains(&parts.len()), "{size}: {}", parts.len());
            let (last, others) = parts.split_last().unwrap();
            assert!(others.iter().all(|part| part.size_bytes >= SMALLEST_BYTES), "{size}");
            assert!(last.size_bytes > 0 || size == 0, "{size}");
            if size <= LARGEST_BYTES * MOST_PARTS {
                assert!(parts.iter().all(|part| part.size_bytes <= LARGEST_BYTES), "{size}");
            }
        }
    }

    #[test]
    fn an_ordinary_file_is_cut_into_about_as_many_parts_as_wanted() {
        assert_eq!(cut(512 << 20).len(), 64);
        assert_eq!(cut(3 << 30).len(), 64);
        assert_eq!(cut(100 << 20).len(), 13);
    }
}
