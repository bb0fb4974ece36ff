//! Keeps the image's SSH server running.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::agent::cgroup::Cgroup;
use crate::agent::helper::{DEFAULT_PATH, is_program};
use crate::agent::machine::Machine;
use crate::agent::reaper::{Reaper, Running, ToGroup};
use crate::agent::ssh_keys;
use crate::sys::child::{Surroundings, surround};

const SERVER: &str = "/usr/sbin/sshd";

/// Pauses between starts grow from the first to the last, and begin anew after a good run.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(30);
const GOOD_RUN: Duration = Duration::from_secs(60);

/// The server as the rest of the agent sees it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct SshServer {
    keys_changed: Arc<Notify>,
    running: Arc<Mutex<Option<Pid>>>,
}

impl SshServer {
    /// Starts the server where it waits for keys, else makes it read keys and settings again; connections stay.
    pub(crate) fn reload(&self, reaper: &Reaper) -> std::io::Result<()> {
        self.keys_changed.notify_one();
        match *self.running() {
            Some(pid) => reaper.signal(pid, Signal::HUP, ToGroup::No).map(drop),
            None => Ok(()),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the server for as long as the agent lives; returns at once when the image has none.
    pub(crate) async fn supervise(self, machine: &Machine, cgroup: Option<Cgroup>) {
        if !is_program(Path::new(SERVER)) {
            tracing::debug!("the image has no SSH server");
            return;
        }
        let mut pause = FIRST_PAUSE;
        loop {
            while !ssh_keys::exist(&machine.places) {
                self.keys_changed.notified().await;
            }
            let thawed = machine.freezer.hold_thawed().await;
            let started = Instant::now();
            let outcome = start(&machine.reaper, cgroup.as_ref());
            drop(thawed);
            match outcome {
                Ok(running) => {
                    *self.running() = Some(running.pid);
                    let ending = running.ending.await;
                    *self.running() = None;
                    tracing::warn!(?ending, "the SSH server ended");
                }
                Err(error) => tracing::warn!(%error, "could not start the SSH server"),
            }
            pause =
                if started.elapsed() > GOOD_RUN { FIRST_PAUSE } else { LAST_PAUSE.min(pause * 2) };
            sleep(pause).await;
        }
    }
}

fn start(reaper: &Reaper, cgroup: Option<&Cgroup>) -> std::io::Result<Running> {
    // Its privilege separation directory lies on a tmpfs.
    std::fs::create_dir_all(PathBuf::from("/run/sshd"))?;
    let mut command = Command::new(SERVER);
    command.arg("-D").env_clear().env("PATH", DEFAULT_PATH).stdin(Stdio::null());
    let procs = cgroup.map(Cgroup::open_procs).transpose()?;
    surround(
        &mut command,
        Surroundings {
            cgroup: procs.map(Into::into),
            takes_terminal: false,
            credentials: None,
            directory: CString::from(c"/"),
        },
    );
    reaper.spawn(&mut command).map(|(_child, running)| running)
}
