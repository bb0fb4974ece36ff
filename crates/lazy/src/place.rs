//! What lies in the directory of a job, made before the supervisor starts and removed after it.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::job::{FillJob, JobFile, MOUNT_NAME};
use crate::order::{MAXIMUM_TOUCHES, Touch};
use crate::presence::missing_in;
use crate::status::FillStatus;
use crate::{mount, server};

/// The order of first touches, a JSON object a line.
pub const TOUCHES_NAME: &str = "touches";
/// Locked by the supervisor while it lives.
const LOCK_NAME: &str = "supervisor.lock";
/// What supervisor and servers have to say.
pub const LOG_NAME: &str = "log";

/// Makes the directory of a job, the sparse files, and what the job is. Whatever of it is there
/// already stays. Blocking.
///
/// # Errors
/// When something cannot be made.
pub fn prepare(dir: &Utf8Path, job: &FillJob) -> io::Result<()> {
    for dir in [dir.to_owned(), dir.join(MOUNT_NAME)] {
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for file in &job.files {
        let data = open_for_both(&file.path)?;
        if data.metadata()?.len() < file.size_bytes {
            data.set_len(file.size_bytes)?;
        }
        std::os::unix::fs::fchown(&data, Some(job.owner), Some(job.owner))?;
        data.sync_all()?;
    }
    job.write(dir)
}

/// Takes the file system away. Whoever served it must be dead. Idempotent. Blocking.
///
/// # Errors
/// When it cannot be unmounted.
pub fn unmount(dir: &Utf8Path) -> io::Result<()> {
    mount::unmount(&dir.join(MOUNT_NAME))
}

/// Says that a supervisor lives for as long as the answer is kept.
pub(crate) fn supervise(dir: &Utf8Path) -> io::Result<File> {
    let lock = open_for_both(&dir.join(LOCK_NAME))?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

/// Whether a supervisor lives. Blocking.
///
/// # Errors
/// When that cannot be told.
pub fn is_supervised(dir: &Utf8Path) -> io::Result<bool> {
    let lock = open_for_both(&dir.join(LOCK_NAME))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Bytes that are still to be fetched, by what servers have noted; none before they have. Blocking.
///
/// # Errors
/// When the notes cannot be read.
pub fn missing_bytes(dir: &Utf8Path, job: &FillJob) -> io::Result<Option<u64>> {
    let document = server::read_document(&open_document(job)?)?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let chunk_bytes = u64::from(document.chunk_bytes);
    let mut missing_bytes = 0;
    for file in &job.files {
        let Some(form) = document.file(&file.artifact) else { return Ok(None) };
        let bits = match File::open(dir.join(format!("{}.present", file.name))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bits => bits?,
        };
        let chunks = form.size_bytes.div_ceil(chunk_bytes);
        match missing_in(&bits, boot_id.trim(), chunks)? {
            Some(missing) => missing_bytes += missing * chunk_bytes,
            None => return Ok(None),
        }
    }
    Ok(Some(missing_bytes))
}

/// Syncs files that lack nothing, and says that they are full: where no supervisor is left to do so. Blocking.
///
/// # Errors
/// When they cannot be synced.
pub fn finish(dir: &Utf8Path, job: &FillJob) -> io::Result<()> {
    for file in &job.files {
        OpenOptions::new().read(true).open(&file.path)?.sync_data()?;
    }
    FillStatus::Full.write(dir)
}

/// The order of first touches so far, across all servers. Blocking.
///
/// # Errors
/// When it cannot be read.
pub fn touches(dir: &Utf8Path) -> io::Result<Vec<Touch>> {
    let text = std::fs::read_to_string(dir.join(TOUCHES_NAME))?;
    let mut known = HashSet::new();
    // A line that a server died in is none.
    let touches = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(touches.filter(|touch| known.insert(*touch)).take(MAXIMUM_TOUCHES).collect())
}

/// The document of a job.
pub(crate) fn open_document(job: &FillJob) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&job.document)
}

/// The descriptors that a server needs of one file: data, and its two files of bits.
pub(crate) fn open_file(dir: &Utf8Path, file: &JobFile) -> io::Result<[File; 3]> {
    let data = OpenOptions::new().read(true).write(true).open(&file.path)?;
    let bits = |kind: &str| open_for_both(&dir.join(format!("{}.{kind}", file.name)));
    Ok([data, bits("present")?, bits("synced")?])
}

/// Opens a file to be appended to.
pub(crate) fn open_log(path: &Utf8PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn open_for_both(path: &Utf8Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}
