//! The supervisor: mounts the file system, holds its device, and sees to it that a server is there.
//!
//! ```text
//!   lazy-supervisor DIR          (born into a control group and a session of its own)
//!     └─ the same, detached      so that nobody has to reap it
//!          ├─ server             dies: the next one takes over
//!          └─ kills the VMM's control group when a chunk is lost, then ends, and the mount with it
//! ```
//! It is root's, since it mounts and ends a VMM of another uid, and it reads nothing but lines of its
//! own server. It opens no file of its mount.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::FdFlags;
use tracing::{error, info, warn};

use crate::file_system::chain;
use crate::job::{FillJob, MOUNT_NAME};
use crate::server::FIRST_DESCRIPTOR;
use crate::status::FillStatus;
use crate::word::{self, Word};
use crate::{mount, place};

/// The hidden subcommand of the supervisor; its argument is the directory of the job.
pub const SUPERVISOR_COMMAND: &str = "lazy-supervisor";
/// The hidden subcommand of a server; its argument is `new` or `taken-over`.
pub const SERVER_COMMAND: &str = "lazy-server";
/// What it says on its standard output once a server answers.
pub const READY: &str = "ready\n";

/// How often progress is written down at most; the end of it always is.
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

const DETACHED: &str = "detached";
/// Servers in a row that may end without having served.
const MOST_FAILURES: u32 = 20;
/// A server that lived as long was a good one.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// Runs the supervisor with the arguments after its subcommand. Nothing else has run in this process.
pub fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments {
        [dir] => detach(dir),
        [dir, how] if how == DETACHED => supervise(Utf8Path::new(dir)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "one directory is expected")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Heard by the daemon while it waits for the word.
            println!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn detach(dir: &str) -> io::Result<()> {
    let mut again = Command::new("/proc/self/exe");
    again.args([SUPERVISOR_COMMAND, dir, DETACHED]).spawn().map(drop)
}

fn supervise(dir: &Utf8Path) -> io::Result<()> {
    let job = FillJob::read(dir)?;
    let _lives = place::supervise(dir)?;
    let log = place::open_log(&dir.join(place::LOG_NAME))?;
    rustix::stdio::dup2_stderr(&log)?;
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let at = dir.join(MOUNT_NAME);
    // What an earlier supervisor left shows nothing any more.
    mount::unmount(&at)?;
    let device = mount::mount(&at)?;
    mount::tune(&at);
    let mut supervisor = Supervisor {
        dir: dir.to_owned(),
        handed: hand_over(dir, &job, device)?,
        has_served: false,
        failures: 0,
        written: None,
        vmm_cgroup: job.vmm_cgroup.clone(),
        job: serde_json::to_vec(&job)?,
    };
    let kept = supervisor.keep();
    mount::unmount(&at)?;
    kept
}

/// Puts everything that a server inherits at its number.
fn hand_over(dir: &Utf8Path, job: &FillJob, device: File) -> io::Result<Vec<OwnedFd>> {
    let touches = place::open_log(&dir.join(place::TOUCHES_NAME))?;
    let mut files = vec![device, touches, place::open_document(job)?];
    for file in &job.files {
        files.extend(place::open_file(dir, file)?);
    }
    let numbers = FIRST_DESCRIPTOR..;
    numbers
        .zip(files)
        .map(|(number, file)| {
            let placed = rustix::io::fcntl_dupfd_cloexec(&file, number)?;
            if placed.as_raw_fd() != number {
                return Err(io::Error::other("a descriptor's number is taken"));
            }
            rustix::io::fcntl_setfd(&placed, FdFlags::empty())?;
            Ok(placed)
        })
        .collect()
}

struct Supervisor {
    dir: Utf8PathBuf,
    job: Vec<u8>,
    vmm_cgroup: Utf8PathBuf,
    /// What servers inherit, the device among it.
    handed: Vec<OwnedFd>,
    has_served: bool,
    failures: u32,
    written: Option<Instant>,
}

/// Why a server is no more.
enum End {
    /// It died, and another one takes over.
    Died,
    /// A chunk is lost.
    Lost(String),
}

impl Supervisor {
    /// Keeps a server there until a chunk is lost, or until the control group is killed.
    fn keep(&mut self) -> io::Result<()> {
        loop {
            let began = Instant::now();
            let mut server = self.start_server()?;
            let end = self.listen(&mut server)?;
            match end {
                End::Lost(reason) => {
                    self.end_guest(reason)?;
                    server.kill()?;
                    server.wait()?;
                    return Ok(());
                }
                End::Died => {
                    let status = server.wait()?;
                    warn!(%status, "a server ended; the next one takes over");
                }
            }
            if !self.has_served {
                return Err(io::Error::other("the file server did not start"));
            }
            self.failures = if began.elapsed() > GOOD_LIFE { 0 } else { self.failures + 1 };
            if self.failures > MOST_FAILURES {
                self.end_guest("the file server does not stay up".to_owned())?;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1) * self.failures.pow(2));
        }
    }

    fn start_server(&self) -> io::Result<Child> {
        debug_assert!(!self.handed.is_empty(), "the device is handed over");
        let how = if self.has_served { "taken-over" } else { "new" };
        let mut input =
            File::from(rustix::fs::memfd_create("lazy-job", rustix::fs::MemfdFlags::CLOEXEC)?);
        input.write_all(&self.job)?;
        input.seek(SeekFrom::Start(0))?;
        Command::new("/proc/self/exe")
            .args([SERVER_COMMAND, how])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
    }

    /// Hears a server until it ends or loses a chunk.
    fn listen(&mut self, server: &mut Child) -> io::Result<End> {
        let output = server.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut output = BufReader::new(output);
        loop {
            let mut line = String::new();
            if output.by_ref().take(word::MAXIMUM_BYTES).read_line(&mut line)? == 0 {
                return Ok(End::Died);
            }
            match serde_json::from_str(&line) {
                Ok(Word::Serving) => self.served()?,
                Ok(Word::Progress { missing_bytes }) => self.progressed(missing_bytes),
                Ok(Word::Lost { reason }) => return Ok(End::Lost(reason)),
                // Killed within a line.
                Err(error) => info!(%error, "a word that is not understood"),
            }
        }
    }

    /// Tells the daemon once, and lets go of its pipe.
    fn served(&mut self) -> io::Result<()> {
        if self.has_served {
            return Ok(());
        }
        self.has_served = true;
        let mut output = io::stdout();
        if let Err(error) = output.write_all(READY.as_bytes()).and_then(|()| output.flush()) {
            warn!(%error, "the daemon did not hear of the start");
        }
        let null = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(null.as_fd())?;
        Ok(())
    }

    fn progressed(&mut self, missing_bytes: u64) {
        let is_soon = self.written.is_some_and(|at| at.elapsed() < BETWEEN_WRITES);
        if is_soon && missing_bytes > 0 {
            return;
        }
        self.written = Some(Instant::now());
        let status = match missing_bytes {
            0 => FillStatus::Full,
            missing_bytes => FillStatus::Filling { missing_bytes },
        };
        if let Err(error) = status.write(&self.dir) {
            warn!(%error, "how far it is is not written down");
        }
    }

    /// Kills the VMM before its fault can fail: it executes nothing after this.
    fn end_guest(&self, reason: String) -> io::Result<()> {
        error!(reason, "a chunk is lost: the guest is ended");
        FillStatus::Lost { reason }.write(&self.dir)?;
        match std::fs::write(self.vmm_cgroup.join("cgroup.kill"), "1") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
