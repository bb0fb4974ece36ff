//! Brings chunks: what a guest waits for at once, an earlier run's order next, then the rest.
//!
//! A chunk is fetched by one task at a time; whoever else needs it waits for that. Background work
//! begins no new request while a guest waits, so that a fault shares the line with little.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::chunk_fetch::{FetchError, Origin, Source};
use crate::file::LazyFile;
use crate::order::{Run, Touch, coalesce};

/// Fetches the chunks of all files of a job.
#[derive(Debug)]
pub struct Fetcher {
    origin: Origin,
    sources: Vec<Source>,
    deadline: Duration,
    claimed: Mutex<HashSet<Touch>>,
    /// Moves on whenever a claim ends.
    ended: watch::Sender<u64>,
    waiting: AtomicUsize,
    /// Moves on whenever no guest waits any more.
    quiet: watch::Sender<u64>,
}

impl Fetcher {
    /// Fetches from `origin`; a guest waits for at most `deadline`.
    pub fn new(origin: Origin, sources: Vec<Source>, deadline: Duration) -> Self {
        Self {
            origin,
            sources,
            deadline,
            claimed: Mutex::default(),
            ended: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            quiet: watch::Sender::new(0),
        }
    }

    /// A file, by its place in the job.
    pub fn file(&self, file: usize) -> Option<&Arc<LazyFile>> {
        self.sources.get(file).map(|source| &source.file)
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &Arc<LazyFile>> {
        self.sources.iter().map(|source| &source.file)
    }

    /// Bytes that are still to be fetched.
    pub fn missing_bytes(&self) -> u64 {
        self.files().map(|file| file.missing_bytes()).sum()
    }

    /// Brings chunks that a guest waits for, ahead of everything else.
    ///
    /// # Errors
    /// When one of them cannot be had before the deadline.
    pub async fn demand(&self, file: usize, chunks: Range<u64>) -> Result<(), FetchError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let outcome = self.bring(file, chunks).await;
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.quiet.send_modify(|count| *count += 1);
        }
        outcome
    }

    /// Brings chunks that nobody waits for yet, once no guest waits.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn fill(&self, run: &Run) -> Result<(), FetchError> {
        let mut quiet = self.quiet.subscribe();
        while self.waiting.load(Ordering::SeqCst) > 0 {
            if quiet.changed().await.is_err() {
                break;
            }
        }
        self.bring(run.file, run.chunks.clone()).await
    }

    async fn bring(&self, file: usize, chunks: Range<u64>) -> Result<(), FetchError> {
        let Some(source) = self.sources.get(file) else { return Ok(()) };
        let until = Instant::now() + self.deadline;
        let late =
            || FetchError::Deadline { file: source.file.name.clone(), deadline: self.deadline };
        let mut ended = self.ended.subscribe();
        loop {
            let missing = source.file.missing(chunks.clone());
            if missing.is_empty() {
                return Ok(());
            }
            ended.mark_unchanged();
            let claim = self.claim(file, &missing);
            if claim.touches.is_empty() {
                // Others fetch all of it.
                match timeout_at(until, ended.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) | Err(_) => return Err(late()),
                }
            }
            for run in coalesce(claim.touches.iter().copied(), u64::MAX) {
                self.origin.fetch(source, &run, until).await?;
            }
        }
    }

    /// Claims those chunks that nobody fetches.
    fn claim(&self, file: usize, missing: &[u64]) -> Claim<'_> {
        let mut claimed = self.claimed();
        let touches = missing.iter().map(|chunk| Touch { file, chunk: *chunk });
        let touches = touches.filter(|touch| claimed.insert(*touch)).collect();
        Claim { fetcher: self, touches }
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<Touch>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chunks that one task fetches; given back when it ends, however it ends.
struct Claim<'a> {
    fetcher: &'a Fetcher,
    touches: Vec<Touch>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.touches.is_empty() {
            return;
        }
        let mut claimed = self.fetcher.claimed();
        for touch in &self.touches {
            claimed.remove(touch);
        }
        drop(claimed);
        self.fetcher.ended.send_modify(|count| *count += 1);
    }
}
