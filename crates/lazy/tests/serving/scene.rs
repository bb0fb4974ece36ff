//! A job that real processes serve.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use chunks::ChunkedLimits;
use chunks::chunked::{
    DOCUMENT_NAME, DirectorySource, FileToCut, FormDocument, FormRequest, Known, write_form,
};
use lazy::job::{FillJob, JobFile, JobPack, SecretText, VERSION};
use lazy::order::Touch;
use lazy::status::FillStatus;
use lazy::supervisor::SUPERVISOR_COMMAND;
use lazy::{mount, place};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether such a test cannot run here; the reason is printed.
pub(crate) fn skipped() -> bool {
    match lacking() {
        Some(reason) => {
            println!("skipped: {reason}");
            true
        }
        None => false,
    }
}

fn lacking() -> Option<String> {
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|self_| std::os::unix::fs::MetadataExt::uid(&self_) == 0);
    if !is_root {
        return Some("needs root".to_owned());
    }
    let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0_u32);
    if (number(), number()) < (6, 9) {
        return Some(format!("needs Linux 6.9, this is {}", version.trim()));
    }
    let dir = TempDir::new().expect("a directory");
    let dir = Utf8Path::from_path(dir.path()).expect("plain");
    match mount::mount(dir) {
        Err(error) => Some(format!("needs FUSE: {error}")),
        Ok(_device) => {
            mount::unmount(dir).expect("unmounted");
            None
        }
    }
}

/// Bytes that no other seed gives, with a hole of four chunks after the first.
pub(crate) fn content(chunks: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes: Vec<u8> = (0..chunks * CHUNK_BYTES / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    bytes[CHUNK_BYTES..5 * CHUNK_BYTES].fill(0);
    bytes
}

/// Cuts bytes into a chunked form in `dir`, with a few chunks in each pack.
pub(crate) fn cut(content: &[u8], dir: &Utf8Path) -> FormDocument {
    std::fs::create_dir(dir).expect("a directory");
    let path = dir.with_extension("raw");
    std::fs::write(&path, content).expect("a file");
    let (nothing, never) = (DirectorySource::default(), CancellationToken::new());
    let known = Known::new(&[], &nothing, None).expect("nothing is known");
    let request = FormRequest {
        dir,
        files: &[FileToCut { id: "memory".parse().expect("an id"), path }],
        manifest: "{}",
        known: &known,
        key: None,
    };
    let limits = ChunkedLimits {
        chunk_bytes: u32::try_from(CHUNK_BYTES).expect("small"),
        pack_bytes: 5 * CHUNK_BYTES as u64,
        threads: 1,
        ..ChunkedLimits::default()
    };
    write_form(&request, &limits, &never).expect("cut").document
}

/// A directory with a job, served until this is dropped.
pub(crate) struct Scene {
    dir: TempDir,
    pub(crate) content: Vec<u8>,
}

/// What differs between jobs.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) fault_deadline_ms: Option<u64>,
    pub(crate) renewal_url: Option<String>,
    pub(crate) prefetch: Vec<Touch>,
    pub(crate) grown_bytes: u64,
}

impl Scene {
    pub(crate) fn start(store: &Arc<Store>, wish: Wish) -> Self {
        let dir = TempDir::new().expect("a directory");
        let scene = Self { dir, content: store.content.clone() };
        let packs = store
            .document
            .packs
            .iter()
            .map(|entry| JobPack { pack: entry.id, url: SecretText(store.url(&entry.id, "old")) });
        let job = FillJob {
            version: VERSION,
            server_uid: 54_321,
            owner: 0,
            fault_deadline_ms: wish.fault_deadline_ms.unwrap_or(60_000),
            vmm_cgroup: scene.path("."),
            renewal_url: wish.renewal_url.map(SecretText),
            document: store.dir().join(DOCUMENT_NAME),
            packs: packs.collect(),
            files: vec![JobFile {
                name: "memory".to_owned(),
                path: scene.path("local"),
                size_bytes: scene.content.len() as u64 + wish.grown_bytes,
                artifact: "memory".parse().expect("an id"),
            }],
            prefetch: wish.prefetch,
        };
        place::prepare(&scene.path("job"), &job).expect("prepared");
        scene.supervise();
        scene
    }

    /// Starts a supervisor, and waits until its server answers.
    fn supervise(&self) {
        let mut supervisor = Command::new(env!("CARGO_BIN_EXE_lazy-process"))
            .args([SUPERVISOR_COMMAND, self.path("job").as_str()])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("a supervisor");
        supervisor.wait().expect("it detaches");
        let mut word = String::new();
        let mut output = supervisor.stdout.take().expect("its output");
        output.read_to_string(&mut word).expect("a word");
        assert_eq!(word, "ready\n");
    }

    pub(crate) fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).expect("plain").join(name)
    }

    /// The file as a guest sees it. Only other processes open it.
    pub(crate) fn shown(&self) -> Utf8PathBuf {
        self.path("job/files/memory")
    }

    /// What a process reads of it from `offset` on; none when it gets an error.
    pub(crate) fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        let script = format!("tail -c +{} {} | head -c {length}", offset + 1, self.shown());
        let output = Command::new("bash")
            .args(["-c", &format!("set -o pipefail; {script} || test $? -eq 141")])
            .output()
            .expect("a shell");
        output.status.success().then_some(output.stdout)
    }

    pub(crate) fn status(&self) -> Option<FillStatus> {
        FillStatus::read(&self.path("job")).expect("a status")
    }

    /// Waits until the status is so.
    pub(crate) async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&FillStatus) -> bool,
    ) -> FillStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status().filter(|status| is_so(status)) {
                return status;
            }
            assert!(Instant::now() < deadline, "not {what} in time, but {:?}", self.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn supervisor(&self) -> Option<u32> {
        let job = self.path("job");
        processes().find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.split('\0').any(|word| word == job))
        })
    }

    /// What is filled.
    pub(crate) fn job(&self) -> FillJob {
        FillJob::read(&self.path("job")).expect("a job")
    }

    /// Ends the supervisor with SIGKILL, and answers the server that lives on.
    pub(crate) fn kill_supervisor(&self) -> i32 {
        let supervisor = self.supervisor().expect("a supervisor");
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        let children = std::fs::read_to_string(children).expect("its children");
        let server = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        assert!(kill(i32::try_from(supervisor).expect("a pid")));
        let deadline = Instant::now() + PATIENCE;
        while self.supervisor().is_some() {
            assert!(Instant::now() < deadline, "the supervisor does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        server.expect("a server")
    }

    /// Ends the server with SIGKILL; false when there is none at this moment.
    pub(crate) fn kill_server(&self) -> bool {
        let Some(supervisor) = self.supervisor() else { return false };
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let server = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        server.is_some_and(kill)
    }
}

/// Ends a process that nobody else ends.
pub(crate) fn end(pid: i32) {
    assert!(kill(pid), "it had ended");
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn kill(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
}

impl Drop for Scene {
    fn drop(&mut self) {
        let server = self.supervisor().map(|supervisor| {
            let children = format!("/proc/{supervisor}/task/{supervisor}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            (supervisor, children)
        });
        if let Some((supervisor, children)) = server {
            let is_killed = i32::try_from(supervisor).is_ok_and(kill);
            assert!(is_killed, "a supervisor outlives its test");
            for child in children.split_whitespace() {
                let is_killed = child.parse().is_ok_and(kill);
                assert!(is_killed, "a server outlives its test");
            }
        }
        mount::unmount(&self.path("job/files")).expect("unmounted");
        assert!(PathBuf::from(self.path("job")).exists(), "the job's directory stays");
    }
}
