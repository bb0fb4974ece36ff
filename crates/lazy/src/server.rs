//! The server: an unprivileged process that answers the kernel and fetches chunks.
//!
//! Its standard input holds the job, its standard output takes [`Word`]s, its standard error is a
//! log. Everything it opens by name is what the HTTP client needs; all else is handed over. It may be
//! killed at any moment: the next one goes on where it was.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chunks::chunked::FormDocument;
use chunks::limits::{ChunkedLimits, RetryPolicy, TransferLimits};
use chunks::{SecretUrl, TransferClient};
use rustix::thread::{Gid, Uid};
use tokio::sync::mpsc;

use crate::background;
use crate::chunk_fetch::{Origin, Source};
use crate::fetcher::Fetcher;
use crate::file::LazyFile;
use crate::file_system::{LazyFileSystem, Lost, chain};
use crate::job::{FillJob, JobFile};
use crate::packs::Packs;
use crate::presence::Presence;
use crate::renewal::Renewal;
use crate::session::{self, Beginning};
use crate::word::Word;

/// Where the descriptors handed over begin: device, touches, document, then three for each file.
pub(crate) const FIRST_DESCRIPTOR: RawFd = 100;
/// First touches on their way to the recorder.
const TOUCHES: usize = 4096;

/// Runs a server to its end, which is that of the session. `beginning` is its only argument.
pub fn run(beginning: Beginning) -> ExitCode {
    match serve(beginning) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the file server ends: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn serve(beginning: Beginning) -> Result<(), Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let job = FillJob::decode(&bytes)?;
    let handed = crate::sys::take(FIRST_DESCRIPTOR, 3 + 3 * job.files.len())?;
    drop_privileges(job.server_uid)?;
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let mut handed = handed.into_iter();
    let mut next = || handed.next().ok_or_else(|| io::Error::other("a descriptor is missing"));
    let (device, order) = (next()?, File::from(next()?));
    let document = Arc::new(read_document(&File::from(next()?))?);
    let sources = job
        .files
        .iter()
        .map(|file| {
            let descriptors = [next()?, next()?, next()?];
            open_source(file, &document, descriptors)
        })
        .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    let deadline = Duration::from_millis(job.fault_deadline_ms);
    let client = TransferClient::new(limits(deadline))?;
    let renewal = job.renewal_url.as_ref().map(|url| Renewal::new(&url.0)).transpose()?;
    let urls = job.packs.iter().map(|pack| Ok((pack.pack, pack.url.0.parse::<SecretUrl>()?)));
    let urls = urls.collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let origin = Origin { client, document, packs: Packs::new(urls, renewal) };
    let fetcher = Arc::new(Fetcher::new(origin, sources, deadline));

    let (touched, touches) = mpsc::channel(TOUCHES);
    let (lost, losses) = mpsc::channel(1);
    let files = LazyFileSystem::new(
        Arc::clone(&fetcher),
        job.owner,
        runtime.handle().clone(),
        touched,
        lost,
    );
    let session = session::open(files, device, beginning)?;
    say(&Word::Serving)?;
    let tasks = [
        runtime.spawn(background::record(touches, order)),
        runtime.spawn(background::fill(fetcher, job.prefetch)),
        runtime.spawn(tell(losses)),
    ];
    let ended = session.run();
    for task in tasks {
        task.abort();
    }
    Ok(ended?)
}

/// Says what is lost. The request stays unanswered until the supervisor has ended the guest.
async fn tell(mut losses: mpsc::Receiver<Lost>) {
    while let Some(Lost { reason }) = losses.recv().await {
        if let Err(error) = say(&Word::Lost { reason }) {
            tracing::error!(%error, "nobody hears of a chunk that is lost");
            // Without a supervisor nobody ends the guest: without this process the kernel does.
            std::process::exit(1);
        }
    }
}

/// Says one word to the supervisor.
pub(crate) fn say(word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}

/// Reads the document of a job.
pub(crate) fn read_document(file: &File) -> io::Result<FormDocument> {
    let limit_bytes = ChunkedLimits::default().document_bytes;
    let size_bytes = file.metadata()?.len().min(limit_bytes.saturating_add(1));
    let mut bytes = vec![0; usize::try_from(size_bytes).map_err(io::Error::other)?];
    // From the start, wherever an earlier server that had the same descriptor has stopped.
    file.read_exact_at(&mut bytes, 0)?;
    FormDocument::decode(&bytes, limit_bytes).map_err(io::Error::other)
}

fn open_source(
    file: &JobFile,
    document: &FormDocument,
    [data, present, synced]: [OwnedFd; 3],
) -> Result<Source, Box<dyn std::error::Error>> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let form = document.file(&file.artifact).ok_or("the document has no such file")?;
    if file.size_bytes < form.size_bytes {
        return Err("a file is smaller than what fills it".into());
    }
    let chunks = form.size_bytes.div_ceil(u64::from(document.chunk_bytes));
    let is_hole = |chunk| form.chunk_at(chunk).is_none();
    let presence = Presence::open(present.into(), synced.into(), boot_id.trim(), chunks, is_hole)?;
    let lazy = LazyFile::new(
        file.name.clone(),
        file.size_bytes,
        document.chunk_bytes,
        data.into(),
        presence,
    );
    Ok(Source { file: Arc::new(lazy), artifact: file.artifact.clone() })
}

/// Tries again for as long as a guest may wait.
fn limits(deadline: Duration) -> TransferLimits {
    TransferLimits {
        parallel_requests_total: 48,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
        stall_timeout: Duration::from_secs(10),
        total_timeout: deadline,
        retry: RetryPolicy {
            attempts: u32::MAX,
            base_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(3),
            max_retry_after: Duration::from_secs(5),
        },
        ..TransferLimits::default()
    }
}

/// Becomes a uid of its own, for good. The process has one thread so far.
fn drop_privileges(uid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}
