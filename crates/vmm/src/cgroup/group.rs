//! One control group: made, filled, killed, removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::time::Instant;

use crate::sys;

use super::io::IoLimits;
use super::limits::{Applied, Limits};

/// Why a control group could not be made, read, killed or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The host has no cgroup version 2 at all; nothing can be run on it.
    #[error("no cgroup version 2 hierarchy is mounted on this host")]
    NoUnifiedHierarchy,
    /// The group could not be made.
    #[error("make cgroup {path}")]
    Make {
        /// Its directory.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A control file could not be read.
    #[error("read {path}")]
    Read {
        /// The control file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A control file could not be written.
    #[error("write {value:?} to {path}")]
    Write {
        /// The control file.
        path: Utf8PathBuf,
        /// What was written.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// Processes were left after the kill.
    #[error("cgroup {path} still has processes {} ms after they were killed", waited.as_millis())]
    NotEmpty {
        /// Its directory.
        path: Utf8PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The directory could not be removed.
    #[error("remove cgroup {path}")]
    Remove {
        /// Its directory.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A control group by its directory. The value itself owns nothing: the group stays until it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: Utf8PathBuf,
}

impl Cgroup {
    /// The group `name` under `parent`, which may or may not exist.
    pub fn at(parent: &Utf8Path, name: &str) -> Self {
        Self { path: parent.join(name) }
    }

    /// Its directory.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Makes the group, and its parent with whatever controllers are to be had. An existing group is kept.
    pub fn ensure(&self) -> Result<(), CgroupError> {
        if let Some(parent) = self.path.parent() {
            make(parent)?;
            delegate_controllers(parent)?;
        }
        make(&self.path)
    }

    /// Sets limits where the controllers exist, and says which.
    pub fn limit(&self, limits: &Limits) -> Result<Applied, CgroupError> {
        limits.apply(&self.path)
    }

    /// Bounds what the group does to the disk below `path`, where the controller exists; says whether it does.
    pub fn limit_io(&self, limits: &IoLimits, path: &Utf8Path) -> Result<bool, CgroupError> {
        limits.apply(&self.path, path)
    }

    /// Opens the group for processes to be born into. Once the group is removed that fails, so that a late launch cannot outrun
    /// its undo.
    pub fn open_directory(&self) -> Result<OwnedFd, CgroupError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(self.path.as_std_path(), flags, Mode::empty());
        opened.map_err(|error| CgroupError::Read { path: self.path.clone(), source: error.into() })
    }

    /// The processes inside, as this process sees them; empty for a group that does not exist.
    pub fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        let text = read_control(&self.path.join("cgroup.procs"))?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// True while anything lives in the group; false for one that does not exist.
    pub fn is_populated(&self) -> Result<bool, CgroupError> {
        let events = read_control(&self.path.join("cgroup.events"))?.unwrap_or_default();
        Ok(events.lines().any(|line| line == "populated 1"))
    }

    /// Waits until nothing lives in the group; false when `deadline` passed first.
    pub async fn wait_empty(&self, deadline: Duration) -> Result<bool, CgroupError> {
        let until = Instant::now() + deadline;
        let path = self.path.join("cgroup.events");
        let failed = |source| CgroupError::Read { path: path.clone(), source };
        let events = match File::open(&path) {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(failed(error)),
        };
        // The kernel reports each change of this file as an exceptional condition, counted from its last read.
        let changes = sys::watch(events.into(), Interest::PRIORITY).map_err(failed)?;
        loop {
            let changed = tokio::time::timeout_at(until, changes.ready(Interest::PRIORITY));
            if !self.populated_by(changes.get_ref().as_fd())? {
                return Ok(true);
            }
            match changed.await {
                Ok(ready) => ready.map_err(failed)?.clear_ready(),
                Err(_elapsed) => return Ok(false),
            }
        }
    }

    /// Reads `cgroup.events` anew through an open descriptor; a group removed meanwhile is empty.
    fn populated_by(&self, events: BorrowedFd<'_>) -> Result<bool, CgroupError> {
        let mut text = [0_u8; 256];
        match rustix::io::pread(events, &mut text, 0) {
            Ok(length) => {
                Ok(text[..length].split(|byte| *byte == b'\n').any(|line| line == b"populated 1"))
            }
            Err(rustix::io::Errno::NODEV) => Ok(false),
            Err(error) => Err(CgroupError::Read {
                path: self.path.join("cgroup.events"),
                source: error.into(),
            }),
        }
    }

    /// Kills everything inside, waits until it is gone, and removes the group. Idempotent; a group that does not exist is
    /// already gone.
    pub async fn end(&self, deadline: Duration) -> Result<(), CgroupError> {
        let until = Instant::now() + deadline;
        loop {
            self.kill()?;
            if !self.wait_empty(until.saturating_duration_since(Instant::now())).await? {
                return Err(CgroupError::NotEmpty { path: self.path.clone(), waited: deadline });
            }
            match fs::remove_dir(&self.path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                // A launcher came in between the kill and the removal: once more, until the deadline.
                Err(error)
                    if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until =>
                {
                    tokio::task::yield_now().await;
                }
                Err(source) => return Err(CgroupError::Remove { path: self.path.clone(), source }),
            }
        }
    }

    /// Sends SIGKILL to everything inside.
    fn kill(&self) -> Result<(), CgroupError> {
        let path = self.path.join("cgroup.kill");
        match fs::write(&path, "1") {
            Ok(()) => Ok(()),
            // Removed meanwhile, before the open or after it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            Err(source) => Err(CgroupError::Write { path, value: "1".to_owned(), source }),
        }
    }

    /// The names of the groups under `parent`; none when it does not exist.
    pub fn names(parent: &Utf8Path) -> Result<Vec<String>, CgroupError> {
        let failed = |source| CgroupError::Read { path: parent.to_owned(), source };
        let entries = match parent.read_dir_utf8() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

fn make(path: &Utf8Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(CgroupError::Make { path: path.to_owned(), source }),
    }
}

/// Hands cpu, io, memory and pids down to the groups under `parent`, as far as they reach `parent` at all.
fn delegate_controllers(parent: &Utf8Path) -> Result<(), CgroupError> {
    for path in [parent.parent(), Some(parent)].into_iter().flatten() {
        let offered = read_control(&path.join("cgroup.controllers"))?.unwrap_or_default();
        let enabled = read_control(&path.join("cgroup.subtree_control"))?.unwrap_or_default();
        for controller in ["cpu", "io", "memory", "pids"] {
            let has = |list: &str| list.split_ascii_whitespace().any(|name| name == controller);
            if has(&offered) && !has(&enabled) {
                write_control(&path.join("cgroup.subtree_control"), &format!("+{controller}"))?;
            }
        }
    }
    Ok(())
}

/// The text of a control file; `None` when its group does not exist, or is removed while it is read.
fn read_control(path: &Utf8Path) -> Result<Option<String>, CgroupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(source) => Err(CgroupError::Read { path: path.to_owned(), source }),
    }
}

pub(super) fn write_control(path: &Utf8Path, value: &str) -> Result<(), CgroupError> {
    let written = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}
