//! What a server does unasked: bring the order of an earlier run, then everything else, and note the
//! order of this one.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::fetcher::Fetcher;
use crate::file_system::chain;
use crate::order::{MAXIMUM_TOUCHES, Run, Touch, coalesce, prefetch};
use crate::server::say;
use crate::word::Word;

/// Requests under way at once. With ranges of four chunks they fill 100 MB/s at 20 ms.
const PARALLEL: usize = 4;
/// Chunks asked for in one range.
const MOST_CHUNKS: u64 = 4;
/// How far the order of an earlier run is sorted for neighbours.
const WINDOW: usize = 32;
/// The pause after a pass that did not bring everything; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fills all files, however long that takes, syncs them, and says so.
pub(crate) async fn fill(fetcher: Arc<Fetcher>, order: Vec<Touch>) {
    bring(&fetcher, prefetch(&order, WINDOW, MOST_CHUNKS)).await;
    let mut pause = PAUSE;
    loop {
        let files = fetcher.files().enumerate();
        let missing = files.flat_map(|(file, lazy)| {
            let chunks = lazy.missing(0..u64::MAX);
            chunks.into_iter().map(move |chunk| Touch { file, chunk })
        });
        let missing: Vec<Run> = coalesce(missing, MOST_CHUNKS);
        if missing.is_empty() {
            break;
        }
        if bring(&fetcher, missing).await == Outcome::Partly {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    let files: Vec<_> = fetcher.files().cloned().collect();
    let synced = tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.sync()));
    match synced.await {
        Ok(Ok(())) => tell_progress(0),
        Ok(Err(error)) => warn!(%error, "the full files are not synced"),
        Err(error) => warn!(%error, "the full files are not synced"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    All,
    Partly,
}

/// Fetches runs in their order, several at once. What fails is left for a later pass: only a guest
/// that waits for a chunk makes it a loss.
async fn bring(fetcher: &Arc<Fetcher>, runs: Vec<Run>) -> Outcome {
    let mut outcome = Outcome::All;
    let mut under_way = JoinSet::new();
    let mut runs = runs.into_iter();
    loop {
        while under_way.len() < PARALLEL
            && let Some(run) = runs.next()
        {
            let fetcher = Arc::clone(fetcher);
            under_way.spawn(async move { fetcher.fill(&run).await });
        }
        let Some(ended) = under_way.join_next().await else { return outcome };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(error = chain(&error), "not fetched now");
                outcome = Outcome::Partly;
            }
            Err(error) => {
                warn!(%error, "a task of the filling ended badly");
                outcome = Outcome::Partly;
            }
        }
        // What was just fetched is not yet synced: it is never told to be nothing here.
        tell_progress(fetcher.missing_bytes().max(1));
    }
}

fn tell_progress(missing_bytes: u64) {
    if let Err(error) = say(&Word::Progress { missing_bytes }) {
        info!(%error, "nobody hears how far it is");
    }
}

/// Appends every first touch to `order`, a line each, as many as are kept.
pub(crate) async fn record(mut touches: mpsc::Receiver<Touch>, mut order: File) {
    let mut known = HashSet::new();
    while let Some(touch) = touches.recv().await {
        if known.len() >= MAXIMUM_TOUCHES || !known.insert(touch) {
            continue;
        }
        let line = match serde_json::to_vec(&touch) {
            Ok(mut line) => {
                line.push(b'\n');
                line
            }
            Err(error) => return warn!(%error, "the order of touches is not recorded"),
        };
        if let Err(error) = order.write_all(&line) {
            return warn!(%error, "the order of touches is not recorded");
        }
    }
}
