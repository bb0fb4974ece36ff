//! Whether the parts of a multipart upload are exactly the file (promise P12). Pure: nothing is
//! sent before it holds.

use super::url::SecretUrl;

/// Part numbers that S3 allows, and with it every store that speaks multipart uploads.
const PART_NUMBERS: std::ops::RangeInclusive<i64> = 1..=10_000;

/// A part as a caller asks for it: numbers not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRequest {
    /// Its number; the store joins parts in this order.
    pub part_number: i64,
    /// Where it begins in the file.
    pub offset_bytes: i64,
    /// How long it is.
    pub size_bytes: i64,
    /// Pre-signed PUT.
    pub url: SecretUrl,
}

/// A part that belongs to a whole: in bounds, and joined by the store to exactly the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: u32,
    /// Where it begins in the file.
    pub offset_bytes: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// Pre-signed PUT.
    pub url: SecretUrl,
}

/// Parts that are not exactly the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoverageError {
    /// No parts at all.
    #[error("there are no parts")]
    Empty,
    /// A number that no store takes.
    #[error("part number {part_number} is not between 1 and 10000")]
    Number {
        /// The number.
        part_number: i64,
    },
    /// Two parts of one number.
    #[error("part {part_number} is listed twice")]
    Duplicate {
        /// The number.
        part_number: i64,
    },
    /// An offset below zero.
    #[error("part {part_number} begins at {offset_bytes}")]
    Offset {
        /// Which part.
        part_number: i64,
        /// Its offset.
        offset_bytes: i64,
    },
    /// A size of zero or below. Only an empty file has one part of size zero.
    #[error("part {part_number} has a size of {size_bytes}")]
    Size {
        /// Which part.
        part_number: i64,
        /// Its size.
        size_bytes: i64,
    },
    /// Bytes that no part sends, or parts whose numbers do not follow their offsets.
    #[error(
        "part {part_number} begins at {offset_bytes}, the parts before it end at {expected_bytes}"
    )]
    Gap {
        /// The part after the gap.
        part_number: i64,
        /// Where it begins.
        offset_bytes: u64,
        /// Where it should.
        expected_bytes: u64,
    },
    /// Bytes that two parts send, or parts whose numbers do not follow their offsets.
    #[error(
        "part {part_number} begins at {offset_bytes}, within those that end at {expected_bytes}"
    )]
    Overlap {
        /// The later part.
        part_number: i64,
        /// Where it begins.
        offset_bytes: u64,
        /// Where it should.
        expected_bytes: u64,
    },
    /// The last part goes past the end of the file.
    #[error("the parts end at {end_bytes}, the file has {size_bytes} bytes")]
    TooLong {
        /// Where the parts end.
        end_bytes: u64,
        /// How long the file is.
        size_bytes: u64,
    },
    /// The last part ends before the file does.
    #[error("the parts end at {end_bytes}, the file has {size_bytes} bytes")]
    TooShort {
        /// Where the parts end.
        end_bytes: u64,
        /// How long the file is.
        size_bytes: u64,
    },
}

/// Checks parts, in whatever order they were listed, against the size of the file. Answers them in
/// part order.
///
/// The store joins parts by number, so it is in that order that they must follow each other without
/// gap or overlap.
pub fn check_coverage(
    size_bytes: u64,
    mut requests: Vec<PartRequest>,
) -> Result<Vec<Part>, CoverageError> {
    requests.sort_by_key(|request| request.part_number);
    let twice =
        requests.array_windows().find(|[before, after]| before.part_number == after.part_number);
    if let Some([part, _]) = twice {
        return Err(CoverageError::Duplicate { part_number: part.part_number });
    }
    let is_only = requests.len() == 1;
    let mut parts = Vec::with_capacity(requests.len());
    let mut end_bytes = 0;
    for request in requests {
        let part_number = request.part_number;
        let part = decode(request, size_bytes == 0 && is_only)?;
        let (offset_bytes, expected_bytes) = (part.offset_bytes, end_bytes);
        if offset_bytes > expected_bytes {
            return Err(CoverageError::Gap { part_number, offset_bytes, expected_bytes });
        }
        if offset_bytes < expected_bytes {
            return Err(CoverageError::Overlap { part_number, offset_bytes, expected_bytes });
        }
        // Both came from positive i64s, so the sum fits.
        end_bytes = offset_bytes + part.size_bytes;
        if end_bytes > size_bytes {
            return Err(CoverageError::TooLong { end_bytes, size_bytes });
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return Err(CoverageError::Empty);
    }
    if end_bytes < size_bytes {
        return Err(CoverageError::TooShort { end_bytes, size_bytes });
    }
    Ok(parts)
}

fn decode(request: PartRequest, may_be_empty: bool) -> Result<Part, CoverageError> {
    let PartRequest { part_number, offset_bytes, size_bytes, url } = request;
    let number = u32::try_from(part_number).ok().filter(|_| PART_NUMBERS.contains(&part_number));
    let number = number.ok_or(CoverageError::Number { part_number })?;
    let offset = u64::try_from(offset_bytes)
        .map_err(|_| CoverageError::Offset { part_number, offset_bytes })?;
    let size = u64::try_from(size_bytes).ok().filter(|size| *size > 0 || may_be_empty);
    let size = size.ok_or(CoverageError::Size { part_number, size_bytes })?;
    Ok(Part { number, offset_bytes: offset, size_bytes: size, url })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, offset, size.
    type Listed = (i64, i64, i64);

    fn requests(parts: &[Listed]) -> Vec<PartRequest> {
        let url: SecretUrl = "http://store.example/key".parse().expect("a URL");
        parts
            .iter()
            .map(|(part_number, offset_bytes, size_bytes)| PartRequest {
                part_number: *part_number,
                offset_bytes: *offset_bytes,
                size_bytes: *size_bytes,
                url: url.clone(),
            })
            .collect()
    }

    #[test]
    fn parts_that_are_exactly_the_file_pass_in_any_order_promise_p12() {
        let cases: [(u64, &[Listed], &[u32]); 5] = [
            (10, &[(1, 0, 10)], &[1]),
            (10, &[(1, 0, 4), (2, 4, 6)], &[1, 2]),
            (10, &[(3, 8, 2), (1, 0, 4), (2, 4, 4)], &[1, 2, 3]),
            (10, &[(7, 0, 4), (10_000, 4, 6)], &[7, 10_000]),
            (0, &[(1, 0, 0)], &[1]),
        ];
        for (size, parts, expected) in cases {
            let numbers = check_coverage(size, requests(parts))
                .map(|parts| parts.iter().map(|part| part.number).collect());
            assert_eq!(numbers, Ok(expected.to_vec()), "{parts:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason_promise_p12() {
        use CoverageError as E;
        let cases: [(u64, &[Listed], CoverageError); 17] = [
            (10, &[], E::Empty),
            (10, &[(0, 0, 10)], E::Number { part_number: 0 }),
            (10, &[(-1, 0, 10)], E::Number { part_number: -1 }),
            (10, &[(10_001, 0, 10)], E::Number { part_number: 10_001 }),
            (10, &[(i64::MAX, 0, 10)], E::Number { part_number: i64::MAX }),
            (10, &[(1, 0, 5), (1, 5, 5)], E::Duplicate { part_number: 1 }),
            (10, &[(1, 0, 10), (1, 0, 10)], E::Duplicate { part_number: 1 }),
            (10, &[(1, -1, 11)], E::Offset { part_number: 1, offset_bytes: -1 }),
            (10, &[(1, 0, 0)], E::Size { part_number: 1, size_bytes: 0 }),
            (10, &[(1, 0, -10)], E::Size { part_number: 1, size_bytes: -10 }),
            (0, &[(1, 0, 0), (2, 0, 0)], E::Size { part_number: 1, size_bytes: 0 }),
            (
                10,
                &[(1, 0, 4), (2, 5, 5)],
                E::Gap { part_number: 2, offset_bytes: 5, expected_bytes: 4 },
            ),
            (10, &[(1, 2, 8)], E::Gap { part_number: 1, offset_bytes: 2, expected_bytes: 0 }),
            (
                10,
                &[(1, 0, 6), (2, 5, 5)],
                E::Overlap { part_number: 2, offset_bytes: 5, expected_bytes: 6 },
            ),
            (
                10,
                &[(2, 0, 5), (1, 5, 5)],
                E::Gap { part_number: 1, offset_bytes: 5, expected_bytes: 0 },
            ),
            (10, &[(1, 0, i64::MAX)], E::TooLong { end_bytes: i64::MAX as u64, size_bytes: 10 }),
            (10, &[(1, 0, 9)], E::TooShort { end_bytes: 9, size_bytes: 10 }),
        ];
        for (size, parts, expected) in cases {
            assert_eq!(check_coverage(size, requests(parts)), Err(expected), "{parts:?}");
        }
    }
}
