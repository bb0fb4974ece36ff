//! One rclone.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::config::{Config, REMOTE};
use super::error::MountError;
use crate::agent::cgroup::Cgroup;
use crate::agent::helper::DEFAULT_PATH;
use crate::agent::reaper::{Ending, Reaper, ToGroup};
use crate::proto::mounts::MountRequest;
use crate::sys::child::{Surroundings, surround};

pub(super) const RCLONE: &str = "/usr/bin/rclone";
/// From the start to a directory that can be listed: a store far away, a guest that is emulated.
const MOUNT_DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// What is kept of what it says.
const LAST_WORDS_BYTES: usize = 1024;

/// A running rclone with its configuration.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    ending: oneshot::Receiver<Ending>,
    target: PathBuf,
    words: Arc<Mutex<Vec<u8>>>,
    config: Config,
}

/// Where and as whom it mounts.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) reaper: &'a Reaper,
    pub(super) cgroup: Option<&'a Cgroup>,
    /// Real, without links.
    pub(super) target: PathBuf,
    /// Uid and gid of what the guest sees.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) cache: PathBuf,
}

impl Process {
    pub(super) fn start(
        request: &MountRequest,
        config: Config,
        setting: Setting<'_>,
    ) -> Result<Process, MountError> {
        let mut command = Command::new(RCLONE);
        command
            .arg("mount")
            .arg(format!("{REMOTE}:{}", request.bucket))
            .arg(&setting.target)
            .arg("--config")
            .arg(config.path())
            .arg("--cache-dir")
            .arg(&setting.cache)
            .args(["--allow-other", "--allow-non-empty", "--log-level", "NOTICE"])
            .args(request.read_only.then_some("--read-only"))
            .args(&request.flags);
        if let Some((uid, gid)) = setting.owner {
            command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        }
        command
            .env_clear()
            .env("PATH", DEFAULT_PATH)
            .env("HOME", "/root")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let procs =
            setting.cgroup.map(Cgroup::open_procs).transpose().map_err(MountError::Start)?;
        surround(
            &mut command,
            Surroundings {
                cgroup: procs.map(Into::into),
                takes_terminal: false,
                credentials: None,
                directory: CString::from(c"/"),
            },
        );
        let (mut child, running) = setting.reaper.spawn(&mut command).map_err(MountError::Start)?;
        let words = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let words = words.clone();
            // It ends with rclone.
            std::thread::spawn(move || listen(stderr, &words));
        }
        let Setting { target, .. } = setting;
        Ok(Process { pid: running.pid, ending: running.ending, target, words, config })
    }

    /// Waits until the guest sees it.
    pub(super) async fn mounted(&mut self) -> Result<(), MountError> {
        let deadline = Instant::now() + MOUNT_DEADLINE;
        while !is_mounted(&self.target) {
            if let Ok(ending) = self.ending.try_recv() {
                return Err(MountError::Ended(self.last_words(ending)));
            }
            if Instant::now() >= deadline {
                return Err(MountError::Deadline(self.words()));
            }
            sleep(LOOK).await;
        }
        let target = self.target.clone();
        let listing = tokio::task::spawn_blocking(move || {
            fs::read_dir(&target).and_then(|mut entries| entries.next().transpose().map(drop))
        });
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, listing).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(MountError::Unlistable(format!("{error}; {}", self.words()))),
            Ok(Err(_)) | Err(_) => Err(MountError::Deadline(self.words())),
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> String {
        match (&mut self.ending).await {
            Ok(ending) => self.last_words(ending),
            Err(_closed) => self.words(),
        }
    }

    /// Asks it to write back and go, waits, and then takes it away. What is on its configuration's tmpfs goes with it.
    pub(super) async fn end(mut self, reaper: &Reaper, deadline: Duration) {
        let asked = reaper.signal(self.pid, Signal::TERM, ToGroup::No);
        if asked.is_ok() && timeout(deadline, &mut self.ending).await.is_err() {
            tracing::warn!("rclone did not go in time");
            self.kill(reaper);
            drop(timeout(Duration::from_secs(5), &mut self.ending).await);
        }
        detach(&self.target);
        drop(self.config);
    }

    /// At once, also while it is frozen.
    pub(super) fn kill(&self, reaper: &Reaper) {
        if let Err(error) = reaper.signal(self.pid, Signal::KILL, ToGroup::No) {
            tracing::warn!(%error, "could not kill rclone");
        }
        detach(&self.target);
    }

    fn words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).trim().replace('\n', "; ")
    }

    fn last_words(&self, ending: Ending) -> String {
        match self.words() {
            words if words.is_empty() => format!("{ending:?}"),
            words => words,
        }
    }
}

/// Nobody is told when nothing was mounted.
fn detach(target: &Path) {
    if let Err(error) = rustix::mount::unmount(target, UnmountFlags::DETACH) {
        tracing::debug!(%error, target = %target.display(), "nothing to unmount");
    }
}

/// By the kernel's own list, which asks no file system.
fn is_mounted(target: &Path) -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return false };
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        kind.starts_with("fuse") && place.replace("\\040", " ") == target.to_string_lossy()
    })
}

/// Keeps the last of what it says, and drops the rest.
fn listen(mut stderr: ChildStderr, words: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 512];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                words.extend_from_slice(&buffer[..length]);
                let excess = words.len().saturating_sub(LAST_WORDS_BYTES);
                words.drain(..excess);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_broken) => return,
        }
    }
}
