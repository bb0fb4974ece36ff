//! Where one run of a machine has its things, derived from its launch alone.

use camino::{Utf8Path, Utf8PathBuf};
use engine::port::Launch;

use crate::cgroup::Cgroup;
use crate::jail::exit_record::Exit;
use crate::jail::spec::Logs;
use crate::jail::{exit_record, ring};

use super::error::FirecrackerError;
use super::jail_root::JailRoot;

/// How much of Firecracker's log goes into an error message.
const LAST_WORDS_BYTES: usize = 600;
/// How much of the console is searched for a panic.
const CONSOLE_BYTES: usize = 4096;
/// What Linux prints before it gives up. It then resets, as it does when it powers off.
const PANIC: &str = "Kernel panic - not syncing";

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// The guest powered itself off.
    pub(super) is_clean: bool,
    /// In words.
    pub(super) reason: String,
}

impl End {
    fn unclean(reason: impl Into<String>) -> Self {
        Self { is_clean: false, reason: reason.into() }
    }
}

/// One run: its control group and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    dir: Utf8PathBuf,
    cgroup: Cgroup,
}

impl Run {
    pub(super) fn of(launch: &Launch, cgroups: &Utf8Path) -> Self {
        Self { dir: launch.dir.clone(), cgroup: Cgroup::at(cgroups, launch.operation.as_str()) }
    }

    /// Everything that lives.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The directory over which the jail is mounted, where only the jail sees it.
    pub fn jail_dir(&self) -> Utf8PathBuf {
        self.dir.join("jail")
    }

    /// The directory that holds its logs.
    pub fn logs_dir(&self) -> Utf8PathBuf {
        self.dir.join("logs")
    }

    /// What this run is, for later.
    pub fn record(&self) -> Utf8PathBuf {
        self.logs_dir().join("run.json")
    }

    /// The memory of a restored machine as its last snapshot left it, onto which the next is merged.
    pub fn base(&self) -> Utf8PathBuf {
        self.dir.join("memory.base")
    }

    /// What the keeper writes.
    pub fn logs(&self) -> Logs {
        let dir = self.logs_dir();
        Logs {
            console: dir.join("console.ring"),
            errors: dir.join("vmm.ring"),
            exit: dir.join("exit.json"),
        }
    }

    /// The root of its jail.
    ///
    /// # Errors
    /// When nothing of the run lives.
    pub fn jail_root(&self) -> Result<JailRoot, FirecrackerError> {
        let found = JailRoot::find(&self.cgroup).map_err(|source| FirecrackerError::File {
            action: "enter the jail over",
            path: self.jail_dir(),
            source,
        })?;
        found.ok_or(FirecrackerError::Gone)
    }

    /// How Firecracker ended, as far as its keeper could record it. It leaves with status 0 when the guest resets, which Linux does to
    /// power off, but also after a panic.
    pub(super) fn end(&self) -> End {
        match exit_record::read(&self.logs().exit) {
            Ok(Some(Exit::Code(0))) if self.has_panicked() => End::unclean("the guest panicked"),
            Ok(Some(Exit::Code(0))) => {
                End { is_clean: true, reason: "the guest powered off".to_owned() }
            }
            Ok(Some(Exit::Code(code))) => {
                End::unclean(format!("Firecracker left with status {code}"))
            }
            Ok(Some(Exit::Signal(signal))) => {
                End::unclean(format!("signal {signal} ended Firecracker"))
            }
            Ok(None) => End::unclean("Firecracker was killed together with its keeper"),
            Err(error) => End::unclean(format!("its exit record cannot be read: {error}")),
        }
    }

    fn has_panicked(&self) -> bool {
        let tail = ring::read_tail(&self.logs().console, CONSOLE_BYTES).unwrap_or_default();
        String::from_utf8_lossy(&tail).contains(PANIC)
    }

    /// The end of Firecracker's log and standard error.
    pub(super) fn last_words(&self) -> String {
        match ring::read_tail(&self.logs().errors, LAST_WORDS_BYTES) {
            Ok(tail) => String::from_utf8_lossy(&tail).trim().to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        }
    }
}
