//! Running a tool of the system: with a deadline, its output bounded, and its last words kept for the error.
//!
//! Image building and storage set-up call a handful of Debian's tools (`mmdebstrap`, `mke2fs`, `mkfs.xfs`, `mount`).
//! Everything they say goes through here, so that a failure always tells which tool failed, how, and what it said.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// How long a tool that was told to end may take before it is killed.
const END_GRACE: Duration = Duration::from_secs(10);
/// The most that is kept of a tool's standard output.
const OUTPUT_LIMIT_BYTES: u64 = 1 << 20;
/// How many of the last lines of standard error an error carries.
const LAST_LINES: usize = 12;
/// The longest line of standard error that is kept.
const LINE_LIMIT_BYTES: usize = 512;

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The tool is not installed.
    #[error("{program} is not installed: apt-get install {package}")]
    Missing {
        /// The tool.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The tool could not be started or watched.
    #[error("run {program}")]
    Run {
        /// The tool.
        program: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The tool ended with a failure.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// The tool.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines on standard error.
        said: String,
    },
    /// The tool was ended because it took too long.
    #[error("{program} did not finish within {seconds} s: {said}")]
    Deadline {
        /// The tool.
        program: &'static str,
        /// The deadline it had.
        seconds: u64,
        /// Its last lines on standard error.
        said: String,
    },
}

/// One run of a tool, prepared.
#[derive(Debug)]
pub(crate) struct Tool {
    program: &'static str,
    name: &'static str,
    package: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    deadline: Duration,
}

impl Tool {
    /// A run of `program`, which Debian has in `package`, with a minute to finish.
    pub(crate) fn new(program: &'static str, package: &'static str) -> Self {
        Self {
            program,
            name: program,
            package,
            arguments: Vec::new(),
            environment: Vec::new(),
            deadline: Duration::from_secs(60),
        }
    }

    /// Errors call it `name`: for a program that only starts the one that counts.
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Adds one argument.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn arguments<A: AsRef<OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(|one| one.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Sets a variable of the tool's environment.
    pub(crate) fn variable(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Gives the tool this long to finish.
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs the tool and answers its standard output.
    pub(crate) fn run(self) -> Result<String, ToolError> {
        self.run_telling(|_| ())
    }

    /// Runs the tool, hands every line of its standard error to `tell`, and answers its standard output.
    pub(crate) fn run_telling(self, mut tell: impl FnMut(&str)) -> Result<String, ToolError> {
        let program = self.name;
        let failed = |source| ToolError::Run { program, source };
        let mut child = self.spawn()?;
        let ended = Instant::now() + self.deadline;
        let output = read_output(&mut child);
        let lines = read_lines(&mut child);

        let mut last = VecDeque::new();
        let in_time = loop {
            let left = ended.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    tell(&line);
                    keep_last(&mut last, line);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => break false,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    break wait_until(&child, ended).map_err(failed)?;
                }
            }
        };
        let said = Vec::from(last).join("\n");
        if !in_time {
            end(&mut child).map_err(failed)?;
            let seconds = self.deadline.as_secs();
            return Err(ToolError::Deadline { program, seconds, said });
        }
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(ToolError::Failed { program, status, said });
        }
        let left = ended.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        output.recv_timeout(left).map_err(|_| failed(io::ErrorKind::TimedOut.into()))
    }

    fn spawn(&self) -> Result<Child, ToolError> {
        let Some(path) = find_program(self.program) else {
            return Err(ToolError::Missing { program: self.program, package: self.package });
        };
        Command::new(path)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| ToolError::Run { program: self.name, source })
    }
}

/// Where a program is: in `PATH`, or in the administrators' directories that a user's `PATH` often lacks.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}

/// Reads the child's output up to the limit, and what is beyond into nothing, on a thread of its own.
fn read_output(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut stdout) = stdout {
            let read = stdout.by_ref().take(OUTPUT_LIMIT_BYTES).read_to_end(&mut kept);
            let rest = read.and_then(|_| io::copy(&mut stdout, &mut io::sink()));
            if let Err(error) = rest {
                tracing::debug!(%error, "reading a tool's output ended early");
            }
        }
        // The receiver is gone only when the run has already failed.
        drop(sender.send(String::from_utf8_lossy(&kept).into_owned()));
    });
    receiver
}

/// Reads the child's standard error line by line, on a thread of its own.
fn read_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(64);
    let stderr = child.stderr.take();
    thread::spawn(move || {
        let Some(stderr) = stderr else { return };
        for line in BufReader::new(stderr).split(b'\n') {
            let Ok(mut line) = line else { return };
            line.truncate(LINE_LIMIT_BYTES);
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if !line.is_empty() && sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn keep_last(last: &mut VecDeque<String>, line: String) {
    if last.len() == LAST_LINES {
        last.pop_front();
    }
    last.push_back(line);
}

/// Whether the child ended before `deadline`.
fn wait_until(child: &Child, deadline: Instant) -> io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    Ok(poll(&mut watched, Some(&timeout))? > 0)
}

/// Ends the child: asked first, so that it can clean up, then killed.
fn end(child: &mut Child) -> io::Result<()> {
    kill_process(Pid::from_child(child), Signal::TERM)?;
    if !wait_until(child, Instant::now() + END_GRACE)? {
        child.kill()?;
    }
    child.wait().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_answers_its_output_and_tells_its_lines() {
        let mut told = Vec::new();
        let output = Tool::new("sh", "dash")
            .arguments(["-c", "echo result; echo one >&2; echo two >&2"])
            .run_telling(|line| told.push(line.to_owned()))
            .expect("the shell runs");
        assert_eq!(output, "result\n");
        assert_eq!(told, ["one", "two"]);
    }

    #[test]
    fn a_failing_tool_is_named_with_its_last_words() {
        let error = Tool::new("sh", "dash")
            .arguments(["-c", "echo no room >&2; exit 3"])
            .run()
            .expect_err("the shell fails");
        assert_eq!(error.to_string(), "sh failed (exit status: 3): no room");
    }

    #[test]
    fn a_tool_past_its_deadline_is_ended() {
        let started = Instant::now();
        let error = Tool::new("sleep", "coreutils")
            .argument("600")
            .deadline(Duration::from_millis(50))
            .run()
            .expect_err("the deadline passes");
        assert!(matches!(error, ToolError::Deadline { program: "sleep", .. }));
        assert!(started.elapsed() < END_GRACE);
    }

    #[test]
    fn an_absent_tool_is_told_with_its_package() {
        let error = Tool::new("no-such-tool-here", "some-package").run().expect_err("absent");
        assert_eq!(
            error.to_string(),
            "no-such-tool-here is not installed: apt-get install some-package"
        );
    }
}
