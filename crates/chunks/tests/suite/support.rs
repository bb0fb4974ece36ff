//! What several tests need.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use chunks::chunked::{
    ChunkedError, DirectorySource, FileToCut, FormDocument, FormReader, FormRequest, Known,
    KnownSet, TenantKey, WrittenForm, write_form,
};
use chunks::seal::seal_directory;
use chunks::{
    ArtifactId, ChunkedLimits, FileEntry, FileName, RetryPolicy, SealLimits, SealSpec,
    TransferLimits,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const MIB: u64 = 1024 * 1024;

/// A directory that goes with the test.
pub(crate) struct Scratch {
    _directory: TempDir,
    pub(crate) path: Utf8PathBuf,
}

pub(crate) fn scratch() -> Scratch {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).expect("a UTF-8 path");
    Scratch { _directory: directory, path }
}

impl Scratch {
    pub(crate) fn join(&self, name: &str) -> Utf8PathBuf {
        self.path.join(name)
    }
}

/// Bytes that repeat nowhere and are nowhere zero for long.
pub(crate) fn noise(length: u64, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length as usize];
    random.fill(&mut bytes);
    bytes
}

/// Makes a file of this size with noise at these offsets and holes elsewhere.
pub(crate) fn sparse_file(path: &Utf8Path, size: u64, data: &[(u64, u64)]) {
    let file = File::create_new(path).expect("a new file");
    file.set_len(size).expect("a size");
    for (offset, length) in data {
        file.write_all_at(&noise(*length, *offset + 1), *offset).expect("a write");
    }
    file.sync_all().expect("a sync");
}

pub(crate) fn allocated_bytes(path: &Utf8Path) -> u64 {
    path.metadata().expect("metadata").blocks() * 512
}

pub(crate) fn id(text: &str) -> ArtifactId {
    text.parse().expect("an artifact id")
}

pub(crate) fn name(text: &str) -> FileName {
    text.parse().expect("a file name")
}

/// The entry of one file, sealed where it is.
pub(crate) fn seal_one(path: &Utf8Path) -> FileEntry {
    let directory = path.parent().expect("a parent");
    let spec = SealSpec { id: id("memory"), name: name(path.file_name().expect("a name")) };
    let sealed =
        seal_directory(directory, &[spec], &SealLimits::default(), &CancellationToken::new());
    sealed.expect("sealed").remove(0).entry
}

/// Short times, so that failures come soon, and few attempts.
pub(crate) fn quick_limits() -> TransferLimits {
    TransferLimits {
        parallel_requests: 4,
        range_bytes: 2 * MIB,
        request_timeout: Duration::from_secs(20),
        total_timeout: Duration::from_secs(40),
        retry: RetryPolicy {
            attempts: 3,
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(20),
            max_retry_after: Duration::from_millis(50),
        },
        ..TransferLimits::default()
    }
}

/// An error with all that caused it, as a log would show it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// Waits for a condition, with a deadline.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A form as a test has it: its directory, its document and how much was done for it.
pub(crate) struct Form {
    pub(crate) dir: Utf8PathBuf,
    pub(crate) form: WrittenForm,
}

/// Cuts one file into a new set beneath `root`, knowing these forms, the nearest first.
pub(crate) fn cut(
    file: &Utf8Path,
    root: &Utf8Path,
    name: &str,
    known: &[&Form],
    key: Option<&TenantKey>,
) -> Form {
    let dir = root.join(name);
    std::fs::create_dir(&dir).expect("a set");
    let source = DirectorySource::open(known.iter().map(|form| form.dir.as_path()));
    let source = source.expect("the packs that are known");
    let set = |form: &&Form| KnownSet {
        name: form.dir.file_name().expect("a name").to_owned(),
        document: form.form.document.clone(),
    };
    let sets: Vec<KnownSet> = known.iter().map(set).collect();
    let known = Known::new(&sets, &source, key).expect("known forms");
    let request = FormRequest {
        dir: &dir,
        files: &[FileToCut { id: id("memory"), path: file.to_owned() }],
        manifest: "a manifest",
        known: &known,
        key,
    };
    let limits = ChunkedLimits { pack_bytes: MIB, ..ChunkedLimits::default() };
    let form = write_form(&request, &limits, &CancellationToken::new()).expect("a form");
    Form { dir, form }
}

/// The file of a form, read from the packs in these directories.
pub(crate) fn assemble(
    document: &FormDocument,
    dirs: &[&Utf8Path],
    to: &Utf8Path,
    key: Option<&TenantKey>,
) -> Result<Vec<u8>, ChunkedError> {
    let source = DirectorySource::open(dirs.iter().copied())?;
    let reader = FormReader::new(document, &source, key)?;
    reader.write_file(&id("memory"), to, 0o600, 2, &CancellationToken::new())?;
    Ok(std::fs::read(to).expect("what was written"))
}
