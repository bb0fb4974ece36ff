//! A living process held by a pidfd.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;

use crate::sys;

use super::{ProcessStat, VmmHandle, boot_id};

/// Why a process could not be looked at, waited for or killed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// `/proc` did not answer.
    #[error("read the identity of process {pid}")]
    Identify {
        /// Which process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// No pidfd.
    #[error("open process {pid}")]
    Open {
        /// Which process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// The wait itself failed.
    #[error("wait for process {pid}")]
    Wait {
        /// Which process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// The signal could not be sent.
    #[error("kill process {pid}")]
    Kill {
        /// Which process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
}

/// A process that was alive, and the one meant, when it was opened.
#[derive(Debug)]
pub struct LiveProcess {
    pid: u32,
    pidfd: OwnedFd,
}

/// The identity of a process that lives now.
pub fn identify(pid: u32) -> Result<Option<VmmHandle>, ProcessError> {
    let failed = |source| ProcessError::Identify { pid, source };
    let Some(stat) = ProcessStat::read(pid).map_err(failed)? else { return Ok(None) };
    if stat.is_dead() {
        return Ok(None);
    }
    let boot_id = boot_id().map_err(failed)?;
    Ok(Some(VmmHandle { pid, start_time_ticks: stat.start_time_ticks, boot_id }))
}

impl LiveProcess {
    /// Opens the process that `handle` names; `None` when it ended, is a zombie, or its pid belongs to a stranger or to
    /// another boot.
    pub fn open(handle: &VmmHandle) -> Result<Option<Self>, ProcessError> {
        let pid = handle.pid;
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(ProcessError::Open { pid, source: error.into() }),
        };
        // Only now: from here on the pidfd cannot come to mean another process.
        if identify(pid)?.as_ref() == Some(handle) {
            Ok(Some(Self { pid, pidfd }))
        } else {
            Ok(None)
        }
    }

    /// Waits until the process has ended; false when `deadline` passed first.
    pub async fn wait_exit(&self, deadline: Duration) -> Result<bool, ProcessError> {
        let failed = |source| ProcessError::Wait { pid: self.pid, source };
        let readable = self
            .pidfd
            .try_clone()
            .and_then(|pidfd| sys::watch(pidfd, Interest::READABLE))
            .map_err(failed)?;
        match tokio::time::timeout(deadline, readable.readable()).await {
            Ok(ready) => ready.map(|_guard| true).map_err(failed),
            Err(_elapsed) => Ok(false),
        }
    }

    /// Sends SIGKILL. A process that has ended meanwhile is no error.
    pub fn kill(&self) -> Result<(), ProcessError> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(ProcessError::Kill { pid: self.pid, source: error.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn promise_p4_a_living_process_is_opened_killed_and_waited_for() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let handle = identify(child.id()).unwrap().unwrap();
        let process = LiveProcess::open(&handle).unwrap().unwrap();

        assert!(!process.wait_exit(Duration::from_millis(1)).await.unwrap());
        process.kill().unwrap();
        assert!(process.wait_exit(Duration::from_secs(10)).await.unwrap());

        assert!(LiveProcess::open(&handle).unwrap().is_none(), "a zombie does not count as alive");
        child.wait().unwrap();
        assert!(LiveProcess::open(&handle).unwrap().is_none());
        process.kill().unwrap();
    }

    #[test]
    fn promise_p4_a_stranger_with_the_same_pid_is_not_the_process() {
        let mut handle = identify(std::process::id()).unwrap().unwrap();
        assert!(LiveProcess::open(&handle).unwrap().is_some());

        handle.start_time_ticks += 1;
        assert!(LiveProcess::open(&handle).unwrap().is_none());

        handle.start_time_ticks -= 1;
        handle.boot_id = "another boot".to_owned();
        assert!(LiveProcess::open(&handle).unwrap().is_none());
    }

    #[test]
    fn an_impossible_pid_is_no_process() {
        let handle = VmmHandle { pid: 0, start_time_ticks: 0, boot_id: String::new() };
        assert!(LiveProcess::open(&handle).unwrap().is_none());
    }
}
