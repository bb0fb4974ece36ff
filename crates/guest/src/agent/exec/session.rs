//! One session: its buffers and what is known of its command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::output::{Cut, Output};
use super::readers::Readers;
use super::stdin::{StdinQueue, WriteError};
use crate::agent::cgroup::Cgroup;
use crate::agent::nonblocking::Nonblocking;
use crate::agent::reaper::{Ending, Reaper, ToGroup};
use crate::proto::{OutputStream, SessionExit, SessionSummary, StartRequest, TerminalSize};

/// How long a write waits for room before it answers what was taken.
const STDIN_PATIENCE: Duration = Duration::from_secs(2);

/// Characters of the program's name in a list.
const PROGRAM_CHARACTERS: usize = 100;

/// A command that was started. Tasks and services share it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) request: StartRequest,
    pub(crate) pid: Pid,
    pub(super) started: Instant,
    pub(super) reaper: Reaper,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) terminal: Option<Arc<Nonblocking>>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

/// What changes; each change is announced.
#[derive(Debug)]
pub(super) struct State {
    pub(super) stdin: StdinQueue,
    pub(super) output: Output,
    pub(super) ended: Option<Ended>,
    pub(super) timed_out: bool,
    pub(super) is_removed: bool,
    pub(super) readers: Readers,
}

/// The end of the command's own process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) at: Instant,
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) request: StartRequest,
    pub(super) pid: Pid,
    pub(super) reaper: Reaper,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) terminal: Option<Arc<Nonblocking>>,
}

impl Session {
    pub(super) fn new(parts: Parts) -> Session {
        let policy = parts.request.output_policy();
        let mut state = State {
            stdin: if parts.request.stdin { StdinQueue::open() } else { StdinQueue::none() },
            output: Output::new(policy),
            ended: None,
            timed_out: false,
            is_removed: false,
            readers: Readers::new(),
        };
        if parts.terminal.is_some() {
            state.output.complete(OutputStream::Stderr);
        }
        Session {
            request: parts.request,
            pid: parts.pid,
            started: Instant::now(),
            reaper: parts.reaper,
            cgroup: parts.cgroup,
            terminal: parts.terminal,
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells all who wait for changes.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        outcome
    }

    /// Subscribe first, look at the state then, and wait after that: no change is missed.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How the command ended; `None` while it runs.
    pub(crate) fn exit(&self) -> Option<SessionExit> {
        self.state().exit(self.started)
    }

    /// Waits for the end of the command's own process.
    pub(crate) async fn wait(&self, within: Duration) -> Option<SessionExit> {
        let mut changes = self.watch();
        let waiting = async {
            loop {
                if let Some(exit) = self.exit() {
                    return exit;
                }
                // The sender lives in this session: it cannot close.
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, waiting).await.ok()
    }

    /// Offers bytes to stdin, for a while until all are taken; answers the offset up to which they are, and whether the
    /// command takes any more.
    pub(crate) async fn write_stdin(
        &self,
        offset: u64,
        data: &[u8],
    ) -> Result<(u64, bool), WriteError> {
        let mut changes = self.watch();
        let writing = async {
            while !self.change(|state| state.stdin.offer(offset, data))? {
                if changes.changed().await.is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Ok(outcome) = timeout(STDIN_PATIENCE, writing).await {
            outcome?;
        }
        let state = self.state();
        Ok((state.stdin.accepted(), state.stdin.is_broken()))
    }

    /// Puts bytes behind whatever was written so far, as fast as the command reads.
    pub(crate) async fn append_stdin(&self, mut data: &[u8]) -> Result<(), WriteError> {
        let mut changes = self.watch();
        loop {
            let taken = self.change(|state| {
                let offset = state.stdin.accepted();
                state.stdin.offer(offset, data)?;
                if state.stdin.is_broken() {
                    return Err(WriteError::Closed);
                }
                Ok(state.stdin.accepted() - offset)
            })?;
            data = data.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or_default();
            if data.is_empty() || changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Closes stdin behind whatever was written so far.
    pub(crate) fn end_stdin(&self) -> Result<(), WriteError> {
        self.change(|state| state.stdin.close(state.stdin.accepted()))
    }

    pub(crate) fn close_stdin(&self, offset: u64) -> Result<(), WriteError> {
        self.change(|state| state.stdin.close(offset))
    }

    /// False without a terminal.
    pub(crate) fn resize(&self, size: TerminalSize) -> std::io::Result<bool> {
        let Some(terminal) = &self.terminal else { return Ok(false) };
        tcsetwinsize(terminal.descriptor(), window_size(size))?;
        Ok(true)
    }

    /// To the command's own process; false when it has ended.
    pub(crate) fn signal(&self, signal: Signal, to_group: ToGroup) -> std::io::Result<bool> {
        self.reaper.signal(self.pid, signal, to_group)
    }

    /// Kills the whole tree, also what outlived the command where it has a cgroup; false when the command had ended.
    pub(crate) fn kill_tree(&self) -> std::io::Result<bool> {
        let was_running = self.state().ended.is_none();
        match &self.cgroup {
            Some(cgroup) => cgroup.kill()?,
            None => {
                self.signal(Signal::KILL, ToGroup::Yes)?;
            }
        }
        Ok(was_running)
    }

    /// The cut at a position of the whole output, or the next that is still known; `None` beyond the end.
    pub(crate) fn find(&self, position: u64) -> Option<Cut> {
        self.state().output.find(position)
    }

    /// When the command ended.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.state().ended.map(|ended| ended.at)
    }

    /// Of the command's own process.
    pub(crate) fn process_id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn summary(&self) -> SessionSummary {
        let state = self.state();
        let end = state.output.end();
        let program = self.request.command.first().map(String::as_str).unwrap_or_default();
        SessionSummary {
            session_id: self.request.session_id.clone(),
            program: program.chars().take(PROGRAM_CHARACTERS).collect(),
            pid: self.process_id(),
            started_ms_ago: milliseconds(self.started.elapsed()),
            stdout_bytes: end.stdout,
            stderr_bytes: end.stderr,
            stdin_accepted: state.stdin.accepted(),
            exit: state.exit(self.started),
            terminal: self.terminal.is_some(),
            stdin_open: state.stdin.is_open(),
            user: self.request.user.clone(),
        }
    }
}

impl State {
    /// With the lengths of the streams as they are now.
    pub(super) fn exit(&self, started: Instant) -> Option<SessionExit> {
        let ended = self.ended?;
        let (exit_code, signal) = match ended.ending {
            Ending::Exited(code) => (code, 0),
            Ending::Killed(signal) => (128 + signal, signal),
        };
        let end = self.output.end();
        Some(SessionExit {
            exit_code,
            signal,
            timed_out: self.timed_out,
            duration_ms: milliseconds(ended.at.duration_since(started)),
            stdout_bytes: end.stdout,
            stderr_bytes: end.stderr,
        })
    }

    /// The command ended, and all that it wrote is in the buffers.
    pub(super) fn is_complete(&self) -> bool {
        self.ended.is_some() && self.output.is_complete()
    }

    /// How much output may be read from the command now.
    pub(super) fn room(&self) -> usize {
        self.output.room(self.readers.reader())
    }

    /// How long a command whose output has no room waits for a reader that left; `None`: until somebody reads.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.output.waits_for_reader().then(|| self.readers.patience()).flatten()
    }
}

pub(super) fn window_size(size: TerminalSize) -> Winsize {
    let clamp = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    Winsize { ws_row: clamp(size.rows), ws_col: clamp(size.columns), ws_xpixel: 0, ws_ypixel: 0 }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
