//! Hashing the chunks of sparse files on a bounded number of threads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use crate::digest::Blake3Digest;
use crate::files::{DataExtents, is_zero};

/// A file whose chunks are wanted.
pub(crate) struct FileToHash<'file> {
    pub(crate) file: &'file File,
    pub(crate) size_bytes: u64,
    pub(crate) chunk_bytes: u32,
}

/// The chunks of one file that are not all zeros, in order.
pub(crate) type DataChunks = Vec<(u64, Blake3Digest)>;

/// Files that were not hashed.
#[derive(Debug)]
pub(crate) enum HashError {
    Cancelled,
    /// Reading this one, by index, failed.
    Read {
        file_index: usize,
        source: io::Error,
    },
}

#[derive(Clone, Copy)]
struct Job {
    file_index: usize,
    chunk: u64,
}

/// The digests of every chunk with data, one list per file. Holes are not read; chunks that turn
/// out to be all zeros are left out, so the answer depends on the bytes alone.
pub(crate) fn hash_data_chunks(
    files: &[FileToHash<'_>],
    threads: usize,
    cancel: &CancellationToken,
) -> Result<Vec<DataChunks>, HashError> {
    let jobs = list_jobs(files)?;
    let next = AtomicUsize::new(0);
    let worker = || work(files, &jobs, &next, cancel);
    let parts = std::thread::scope(|scope| {
        let helpers: Vec<_> =
            (1..threads.clamp(1, jobs.len().max(1))).map(|_| scope.spawn(worker)).collect();
        let mut parts = vec![worker()];
        parts.extend(helpers.into_iter().map(|helper| match helper.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        }));
        parts
    });
    let mut lists: Vec<DataChunks> = files.iter().map(|_| Vec::new()).collect();
    for part in parts {
        for (job, digest) in part? {
            lists[job.file_index].push((job.chunk, digest));
        }
    }
    for list in &mut lists {
        list.sort_unstable_by_key(|(chunk, _)| *chunk);
    }
    Ok(lists)
}

fn list_jobs(files: &[FileToHash<'_>]) -> Result<Vec<Job>, HashError> {
    let mut jobs: Vec<Job> = Vec::new();
    for (file_index, file) in files.iter().enumerate() {
        let chunk_bytes = u64::from(file.chunk_bytes);
        let mut next_chunk = 0;
        for extent in DataExtents::new(file.file, file.size_bytes) {
            let extent = extent.map_err(|source| HashError::Read { file_index, source })?;
            let first = (extent.offset_bytes / chunk_bytes).max(next_chunk);
            next_chunk = extent.end_bytes().div_ceil(chunk_bytes);
            jobs.extend((first..next_chunk).map(|chunk| Job { file_index, chunk }));
        }
    }
    Ok(jobs)
}

fn work(
    files: &[FileToHash<'_>],
    jobs: &[Job],
    next: &AtomicUsize,
    cancel: &CancellationToken,
) -> Result<Vec<(Job, Blake3Digest)>, HashError> {
    let mut buffer = Vec::new();
    let mut done = Vec::new();
    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
        if cancel.is_cancelled() {
            return Err(HashError::Cancelled);
        }
        let file = &files[job.file_index];
        let chunk_bytes = u64::from(file.chunk_bytes);
        let offset = job.chunk * chunk_bytes;
        buffer.resize(chunk_bytes.min(file.size_bytes - offset) as usize, 0);
        if let Err(source) = file.file.read_exact_at(&mut buffer, offset) {
            // Nobody needs the rest any more.
            next.store(jobs.len(), Ordering::Relaxed);
            return Err(HashError::Read { file_index: job.file_index, source });
        }
        if !is_zero(&buffer) {
            done.push((*job, Blake3Digest::of(&buffer)));
        }
    }
    Ok(done)
}
