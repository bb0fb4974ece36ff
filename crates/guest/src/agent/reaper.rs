//! Starts children and waits for them, and reaps every orphan that falls to the agent.
//!
//! There is one waiter for all: `waitpid(-1)` at every SIGCHLD. It hands the status of a child of ours to whoever
//! started it, and drops that of an orphan. Two waiters would steal from each other. Starting holds the same lock as
//! reaping, so that no child ends before it is known.

use std::collections::HashMap;
use std::io;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Killed(i32),
}

/// A running child, or one that has ended and whose status is still to be taken.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    pub(crate) ending: oneshot::Receiver<Ending>,
}

/// The one waiter. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reaper {
    children: Arc<Mutex<HashMap<Pid, oneshot::Sender<Ending>>>>,
}

impl Reaper {
    /// Becomes the parent of orphans too, and reaps from here on. Needs a runtime.
    pub(crate) fn start() -> io::Result<Reaper> {
        let reaper = Reaper::default();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let mut signals = signal(SignalKind::child())?;
        let waiter = reaper.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                waiter.reap();
            }
        });
        Ok(reaper)
    }

    /// Starts a child. Its pipes are in the [`Child`], which must not be waited for.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Running)> {
        let mut children = self.children();
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, ending) = oneshot::channel();
        children.insert(pid, sender);
        Ok((child, Running { pid, ending }))
    }

    /// Sends a signal to a child, or to the process group that it leads; false when it has ended. The pid cannot
    /// have been given to another process: it is not reaped while this holds the lock.
    pub(crate) fn signal(&self, pid: Pid, signal: Signal, to_group: ToGroup) -> io::Result<bool> {
        let children = self.children();
        if !children.contains_key(&pid) {
            return Ok(false);
        }
        let outcome = match to_group {
            ToGroup::Yes => rustix::process::kill_process_group(pid, signal),
            ToGroup::No => rustix::process::kill_process(pid, signal),
        };
        match outcome {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn children(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<Ending>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reap(&self) {
        let mut children = self.children();
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let ended = children.remove(&pid).zip(ending(status));
                    if ended.is_none_or(|(sender, ending)| sender.send(ending).is_err()) {
                        tracing::trace!(?pid, ?status, "reaped a process that nobody waits for");
                    }
                }
                Ok(None) | Err(rustix::io::Errno::CHILD) => return,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not reap");
                    return;
                }
            }
        }
    }
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToGroup {
    Yes,
    No,
}

fn ending(status: WaitStatus) -> Option<Ending> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(Ending::Exited(code)),
        (None, Some(signal)) => Some(Ending::Killed(signal)),
        (None, None) => None,
    }
}
