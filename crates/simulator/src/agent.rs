//! The real agent beside the simulated CPU: a process of its own, which listens on a Unix socket in place of vsock.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use guest::agent::{Invocation, Role};
use rustix::process::{Pid, Signal, getegid, geteuid, getppid, kill_process};

/// The word behind this program's name that makes it the agent.
pub(super) const WORD: &str = "agent";
/// The word with which the agent runs this program to end its machine.
pub(super) const POWER_OFF: &str = "poweroff";
/// This program inside its jail.
const PROGRAM: &str = "/firecracker";
/// Where the agent listens.
const SOCKET: &str = "agent.sock";
/// What its guest sees as the root of its file system.
const ROOT: &str = "/guest";
/// What an agent expects there.
const DIRECTORIES: [&str; 5] =
    ["etc/computer/clone.d", "etc/ssh", "home/node/workspace", "run", "tmp"];

/// A running agent.
#[derive(Debug)]
pub(super) struct Agent {
    process: Child,
}

impl Agent {
    /// Starts it, with a root of its own that it finds again when the machine is restored with nothing in it.
    pub(super) fn start() -> io::Result<Self> {
        make_root(Path::new(ROOT))?;
        let process = Command::new(PROGRAM)
            .args([WORD, "--listen-unix", SOCKET, "--no-init", "--root", ROOT])
            .args(["--workspace", "/guest/home/node/workspace", "--shutdown-command", PROGRAM])
            .env_clear()
            .current_dir("/")
            // A jail has no /dev/null: this program's own input is one already.
            .stdin(Stdio::inherit())
            .stderr(io::stdout())
            .spawn()?;
        Ok(Self { process })
    }

    /// Connects to it.
    pub(super) fn connect() -> io::Result<UnixStream> {
        UnixStream::connect(SOCKET)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Stops or continues it, as a VMM does with its vCPUs.
    pub(super) fn hold(&self, is_held: bool) -> io::Result<()> {
        let signal = if is_held { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.process), signal).map_err(io::Error::from)
    }
}

/// Is the agent, until it ends.
pub(super) fn run(words: impl IntoIterator<Item = String>) -> ExitCode {
    let words = words.into_iter().map(Into::into);
    let options = match Invocation::parse(words, Role::Service) {
        Ok(Invocation::Run(options)) => options,
        other => {
            eprintln!("the simulated guest has no such agent: {other:?}");
            return ExitCode::FAILURE;
        }
    };
    match guest::agent::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the agent of the simulated guest failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the agent that started this program, and its machine with it.
pub(super) fn power_off() -> ExitCode {
    let ended = getppid().map(|agent| kill_process(agent, Signal::TERM));
    if ended.is_some_and(|ended| ended.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn make_root(root: &Path) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    // It can run commands as itself only, having no privilege.
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let passwd = format!("node:x:{uid}:{gid}::/guest/home/node:{PROGRAM}\n");
    fs::write(root.join("etc/passwd"), passwd)
}
