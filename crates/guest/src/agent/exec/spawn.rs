//! From a Start request to a running process with its pipes or its terminal.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcsetwinsize;

use super::session::window_size;
use crate::agent::cgroup::Cgroup;
use crate::agent::helper::DEFAULT_PATH;
use crate::agent::nonblocking::Nonblocking;
use crate::agent::places::Places;
use crate::agent::reaper::{Reaper, Running};
use crate::agent::users::{User, UserError};
use crate::limits;
use crate::proto::{StartRequest, TerminalSize};
use crate::sys::child::{Surroundings, surround};

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("another command runs under this session id")]
    Taken,
    #[error("there is no room for another session")]
    Full,
    #[error("find the user")]
    User(#[from] UserError),
    #[error("the working directory {0} is no directory")]
    Directory(PathBuf),
    #[error("start {program}")]
    Spawn { program: String, source: io::Error },
    #[error("make pipes, terminal or cgroup for a session")]
    Resources(#[source] io::Error),
}

impl Streams {
    /// A terminal is the pumps' and, to resize it, the session's.
    pub(super) fn terminal(&self) -> Option<Arc<Nonblocking>> {
        match self {
            Streams::Terminal(terminal) => Some(terminal.clone()),
            Streams::Pipes { .. } => None,
        }
    }
}

/// A process and the agent's ends of its streams.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) running: Running,
    pub(super) streams: Streams,
}

#[derive(Debug)]
pub(super) enum Streams {
    Pipes { stdin: Option<Nonblocking>, stdout: Nonblocking, stderr: Nonblocking },
    Terminal(Arc<Nonblocking>),
}

/// Refuses what exceeds the limits or cannot be passed to a program.
pub(super) fn check(request: &StartRequest) -> Result<(), StartError> {
    let id = request.session_id.as_bytes();
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if id.is_empty() || id.len() > limits::SESSION_ID_BYTES || !id.iter().all(is_allowed) {
        return Err(StartError::Invalid("a session id has 1 to 64 of [A-Za-z0-9._-]"));
    }
    if request.command.first().is_none_or(String::is_empty) {
        return Err(StartError::Invalid("the command is empty"));
    }
    let variables = || request.env.iter().flat_map(|(name, value)| [name, value]);
    let words = || request.command.iter().chain(variables()).chain([&request.cwd]);
    if words().count() > limits::COMMAND_WORDS {
        return Err(StartError::Invalid("too many words and variables"));
    }
    if words().map(String::len).sum::<usize>() > limits::COMMAND_BYTES {
        return Err(StartError::Invalid("the command and its environment are too long"));
    }
    if words().any(|word| word.contains('\0')) {
        return Err(StartError::Invalid("a NUL in a word, variable or path"));
    }
    if request.env.keys().any(|name| name.is_empty() || name.contains('=')) {
        return Err(StartError::Invalid("a variable's name is empty or has a `=`"));
    }
    Ok(())
}

/// Starts the process. Blocks for as long as fork and exec take.
pub(super) fn spawn(
    places: &Places,
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
    request: &StartRequest,
) -> Result<Spawned, StartError> {
    let user = User::find(places, &request.user)?;
    let directory = match request.cwd.as_str() {
        "" => user.home.clone(),
        cwd => user.home.join(cwd),
    };
    if !directory.is_dir() {
        return Err(StartError::Directory(directory));
    }
    let mut command = prepare(request, &user);
    let streams = match request.terminal {
        Some(size) => open_terminal(&mut command, size, &user),
        None => open_pipes(&mut command, request),
    }
    .map_err(StartError::Resources)?;
    let procs = cgroup.map(Cgroup::open_procs).transpose().map_err(StartError::Resources)?;
    let invalid_path = StartError::Invalid("a NUL in a path");
    let directory = CString::new(directory.into_os_string().into_encoded_bytes())
        .map_err(|_nul| invalid_path)?;
    surround(
        &mut command,
        Surroundings {
            cgroup: procs.map(Into::into),
            takes_terminal: request.terminal.is_some(),
            credentials: user.credentials(),
            directory,
        },
    );
    let program = request.command.first().cloned().unwrap_or_default();
    let (_child, running) =
        reaper.spawn(&mut command).map_err(|source| StartError::Spawn { program, source })?;
    Ok(Spawned { running, streams })
}

fn prepare(request: &StartRequest, user: &User) -> Command {
    let mut words = request.command.iter();
    let mut command = Command::new(words.next().map(String::as_str).unwrap_or_default());
    command
        .args(words)
        .env_clear()
        .env("PATH", DEFAULT_PATH)
        .env("HOME", &user.home)
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .env("SHELL", &user.shell);
    if request.terminal.is_some() {
        command.env("TERM", "xterm-256color");
    }
    command.envs(&request.env);
    command
}

fn open_pipes(command: &mut Command, request: &StartRequest) -> io::Result<Streams> {
    let stdin = if request.stdin {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        command.stdin(theirs);
        Some(Nonblocking::new(ours)?)
    } else {
        command.stdin(Stdio::null());
        None
    };
    let (stdout, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    command.stdout(theirs);
    let (stderr, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    command.stderr(theirs);
    Ok(Streams::Pipes {
        stdin,
        stdout: Nonblocking::new(stdout)?,
        stderr: Nonblocking::new(stderr)?,
    })
}

fn open_terminal(command: &mut Command, size: TerminalSize, user: &User) -> io::Result<Streams> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    tcsetwinsize(&ours, window_size(size))?;
    let name = ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs: OwnedFd = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    if let Some(credentials) = user.credentials() {
        rustix::fs::fchown(&theirs, Some(credentials.uid), None)?;
    }
    command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
    Ok(Streams::Terminal(Arc::new(Nonblocking::new(ours)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session_id: &str, words: &[&str]) -> StartRequest {
        StartRequest {
            session_id: session_id.to_owned(),
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            ..StartRequest::default()
        }
    }

    #[test]
    fn ids_that_are_no_ids_are_refused() {
        for id in ["", "a/b", "a b", "\n", &"x".repeat(65)] {
            assert!(check(&request(id, &["true"])).is_err(), "{id:?}");
        }
        assert!(check(&request("exec-1.a_B", &["true"])).is_ok());
    }

    #[test]
    fn commands_beyond_the_limits_are_refused_promise_p10() {
        assert!(check(&request("a", &[])).is_err());
        assert!(check(&request("a", &["a\0b"])).is_err());
        assert!(check(&request("a", &vec!["x"; limits::COMMAND_WORDS + 1])).is_err());
        assert!(check(&request("a", &[&"x".repeat(limits::COMMAND_BYTES + 1)])).is_err());
        let mut with_bad_name = request("a", &["true"]);
        with_bad_name.env.insert("A=B".to_owned(), String::new());
        assert!(check(&with_bad_name).is_err());
    }
}
