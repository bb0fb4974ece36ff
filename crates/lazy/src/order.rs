//! The order in which a guest touches what it was restored from, and what is fetched by it. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Most touches kept: 64 GiB of chunks of 1 MiB, far beyond any working set.
pub const MAXIMUM_TOUCHES: usize = 64 * 1024;

/// A chunk that was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// Which file, by its place in the job.
    pub file: usize,
    /// Which chunk of it.
    pub chunk: u64,
}

/// Neighbouring chunks of one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// Which file.
    pub file: usize,
    /// Which chunks.
    pub chunks: Range<u64>,
}

/// Joins touches that follow each other and are neighbours, in either direction, into runs of at
/// most `most_chunks`. The order of first touches stays.
pub fn coalesce(touches: impl IntoIterator<Item = Touch>, most_chunks: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Touch { file, chunk } in touches {
        if let Some(run) = runs.last_mut()
            && run.file == file
            && run.chunks.end - run.chunks.start < most_chunks
        {
            if run.chunks.end == chunk {
                run.chunks.end += 1;
                continue;
            }
            if chunk + 1 == run.chunks.start {
                run.chunks.start = chunk;
                continue;
            }
            if run.chunks.contains(&chunk) {
                continue;
            }
        }
        runs.push(Run { file, chunks: chunk..chunk + 1 });
    }
    runs
}

/// The runs of a recorded order: what is near each other in time is put in the order of its place,
/// `window` touches at a time, so that one request brings neighbours.
pub fn prefetch(touches: &[Touch], window: usize, most_chunks: u64) -> Vec<Run> {
    let mut runs = Vec::new();
    for window in touches.chunks(window.max(1)) {
        let mut window = window.to_vec();
        window.sort_unstable_by_key(|touch| (touch.file, touch.chunk));
        runs.extend(coalesce(window, most_chunks));
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(file: usize, chunks: &[u64]) -> Vec<Touch> {
        chunks.iter().map(|chunk| Touch { file, chunk: *chunk }).collect()
    }

    fn run(file: usize, chunks: Range<u64>) -> Run {
        Run { file, chunks }
    }

    #[test]
    fn neighbours_share_a_run_up_to_its_bound_and_the_order_stays() {
        assert_eq!(
            coalesce(touches(0, &[7, 8, 9, 3, 2, 9]), 8),
            [run(0, 7..10), run(0, 2..4), run(0, 9..10)]
        );
        assert_eq!(coalesce(touches(1, &[0, 1, 2]), 2), [run(1, 0..2), run(1, 2..3)]);
        let two: Vec<Touch> = touches(0, &[4]).into_iter().chain(touches(1, &[5])).collect();
        assert_eq!(coalesce(two, 8), [run(0, 4..5), run(1, 5..6)]);
    }

    #[test]
    fn a_recorded_order_is_sorted_within_its_windows_only() {
        let order = touches(0, &[9, 1, 8, 0, 20, 10]);
        assert_eq!(
            prefetch(&order, 4, 8),
            [run(0, 0..2), run(0, 8..10), run(0, 10..11), run(0, 20..21)]
        );
    }
}
