//! Writing a chunked form: cut, skip zeros, look for what is known, compress the rest, pack.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use tokio_util::sync::CancellationToken;

use super::DOCUMENT_NAME;
use super::builder::Builder;
use super::document::{FormDocument, FormFile, Parts, WrittenDocument, runs_of};
use super::error::ChunkedError;
use super::frame::{self, Encoder};
use super::key::{DataKey, Naming, TenantKey};
use super::known::Known;
use super::read::keep_manifest;
use crate::files::{DataExtents, is_zero, open_regular, sync_directory};
use crate::limits::ChunkedLimits;
use crate::names::ArtifactId;

/// Chunks that a thread takes at once, so that neighbours lie near each other in a pack.
const GROUP: usize = 16;

/// A file of a snapshot.
#[derive(Debug, Clone)]
pub struct FileToCut {
    /// Which artifact it is.
    pub id: ArtifactId,
    /// Where it is. It must not change meanwhile.
    pub path: Utf8PathBuf,
}

/// What is to be written.
pub struct FormRequest<'a> {
    /// The directory that becomes the set. It exists and holds no pack.
    pub dir: &'a Utf8Path,
    /// The files.
    pub files: &'a [FileToCut],
    /// The manifest of the raw files, kept in the document.
    pub manifest: &'a str,
    /// What need not be written again.
    pub known: &'a Known<'a>,
    /// With which key to seal, if any.
    pub key: Option<&'a TenantKey>,
}

/// How much was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FormTotals {
    /// Chunks that were written.
    pub new_chunks: u64,
    /// Those of them that are told by a difference.
    pub differences: u64,
    /// Chunks of known forms that are referred to.
    pub known_chunks: u64,
    /// Packs that were written.
    pub new_packs: u64,
    /// Their size.
    pub new_bytes: u64,
}

/// A form that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenForm {
    /// Its document.
    pub document: FormDocument,
    /// The document as it lies in the set.
    pub written: WrittenDocument,
    /// How much was done for it.
    pub totals: FormTotals,
}

/// Writes a set: packs with what is new, and the document, last. All of it is synced before this returns; after a
/// crash there is either a whole document or none.
pub fn write_form(
    request: &FormRequest<'_>,
    limits: &ChunkedLimits,
    cancel: &CancellationToken,
) -> Result<WrittenForm, ChunkedError> {
    let files = open(request.files)?;
    let jobs = list_jobs(&files, limits)?;
    let minted = request.key.map(TenantKey::mint).transpose()?;
    let (key, kept) = minted.unzip();
    let builder = Builder::new(request.dir.to_owned(), request.known, limits.pack_bytes, kept);
    let cutting = Cutting {
        files: &files,
        jobs: &jobs,
        next: AtomicUsize::new(0),
        builder: Mutex::new(builder),
        known: request.known,
        naming: Naming::of(request.key),
        key: key.as_ref(),
        limits,
        cancel,
    };
    let mut chunks: Vec<Vec<(u64, u32)>> = files.iter().map(|_| Vec::new()).collect();
    for (job, index) in cutting.on_threads()? {
        chunks[job.file].push((job.chunk, index));
    }
    let mut builder = cutting.builder.into_inner().unwrap_or_else(PoisonError::into_inner);
    let packs = builder.finish()?;
    let files = files.iter().zip(&mut chunks).map(|(file, chunks)| {
        chunks.sort_unstable();
        FormFile { id: file.id.clone(), size_bytes: file.size_bytes, runs: runs_of(chunks) }
    });
    let document = FormDocument::new(Parts {
        chunk_bytes: limits.chunk_bytes,
        parents: request.known.parents(),
        key_name: request.key.map(TenantKey::name),
        manifest: keep_manifest(request.manifest, key.as_ref())?,
        packs,
        files: files.collect(),
        keys: std::mem::take(&mut builder.keys),
        chunks: std::mem::take(&mut builder.chunks),
    })?;
    sync_directory(request.dir)?;
    let written = document.write(&request.dir.join(DOCUMENT_NAME), limits.document_bytes)?;
    Ok(WrittenForm { document, written, totals: builder.totals })
}

struct OpenFile {
    id: ArtifactId,
    path: Utf8PathBuf,
    file: File,
    size_bytes: u64,
}

#[derive(Clone, Copy)]
struct Job {
    file: usize,
    chunk: u64,
}

fn open(files: &[FileToCut]) -> Result<Vec<OpenFile>, ChunkedError> {
    let open = |file: &FileToCut| {
        let opened = open_regular(&file.path).map_err(ChunkedError::io("open", &file.path))?;
        let size = opened.metadata().map_err(ChunkedError::io("stat", &file.path))?.len();
        Ok(OpenFile {
            id: file.id.clone(),
            path: file.path.clone(),
            file: opened,
            size_bytes: size,
        })
    };
    files.iter().map(open).collect()
}

/// Every chunk that is not wholly a hole.
fn list_jobs(files: &[OpenFile], limits: &ChunkedLimits) -> Result<Vec<Job>, ChunkedError> {
    let chunk_bytes = u64::from(limits.chunk_bytes);
    let mut jobs = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let mut next = 0;
        for extent in DataExtents::new(&file.file, file.size_bytes) {
            let extent = extent.map_err(ChunkedError::io("map", &file.path))?;
            let first = (extent.offset_bytes / chunk_bytes).max(next);
            next = extent.end_bytes().div_ceil(chunk_bytes).max(next);
            jobs.extend((first..next).map(|chunk| Job { file: number, chunk }));
        }
    }
    Ok(jobs)
}

struct Cutting<'a> {
    files: &'a [OpenFile],
    jobs: &'a [Job],
    next: AtomicUsize,
    builder: Mutex<Builder<'a>>,
    known: &'a Known<'a>,
    naming: Naming,
    key: Option<&'a DataKey>,
    limits: &'a ChunkedLimits,
    cancel: &'a CancellationToken,
}

impl<'a> Cutting<'a> {
    fn on_threads(&self) -> Result<Vec<(Job, u32)>, ChunkedError> {
        let threads = self.limits.threads.clamp(1, self.jobs.len().div_ceil(GROUP).max(1));
        let parts = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.work())).collect();
            let mut parts = vec![self.work()];
            parts.extend(helpers.into_iter().map(|helper| match helper.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            }));
            parts
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn work(&self) -> Result<Vec<(Job, u32)>, ChunkedError> {
        let mut encoder = Encoder::new(self.limits.level).map_err(ChunkedError::Compress)?;
        let (mut done, mut buffer) = (Vec::new(), Vec::new());
        loop {
            let first = self.next.fetch_add(GROUP, Ordering::Relaxed).min(self.jobs.len());
            let group = &self.jobs[first..(first + GROUP).min(self.jobs.len())];
            if group.is_empty() {
                return Ok(done);
            }
            for job in group {
                let cut = self.cut(*job, &mut encoder, &mut buffer);
                // Nobody needs the rest any more.
                let cut = cut.inspect_err(|_| self.next.store(self.jobs.len(), Ordering::Relaxed));
                done.extend(cut?.map(|index| (*job, index)));
            }
        }
    }

    /// One chunk; none when it is all zeros.
    fn cut(
        &self,
        job: Job,
        encoder: &mut Encoder,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u32>, ChunkedError> {
        if self.cancel.is_cancelled() {
            return Err(ChunkedError::Cancelled);
        }
        let file = &self.files[job.file];
        let chunk_bytes = u64::from(self.limits.chunk_bytes);
        let offset = job.chunk * chunk_bytes;
        buffer.resize(chunk_bytes.min(file.size_bytes - offset) as usize, 0);
        file.file.read_exact_at(buffer, offset).map_err(ChunkedError::io("read", &file.path))?;
        if is_zero(buffer) {
            return Ok(None);
        }
        let digest = self.naming.name(buffer);
        if let Some(index) = self.builder().find(&digest) {
            return Ok(Some(index));
        }
        let base = self.known.base(&file.id, job.chunk, self.limits.chunk_bytes);
        let encoded = encoder
            .encode(buffer, base.as_ref().map(|base| base.bytes.as_slice()))
            .map_err(ChunkedError::Compress)?;
        let base = base.filter(|_| encoded.is_difference).map(|base| base.found);
        let sealed = frame::seal(encoded.bytes, &digest, self.key)?;
        self.builder().append(digest, &sealed, base).map(Some)
    }

    fn builder(&self) -> MutexGuard<'_, Builder<'a>> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
