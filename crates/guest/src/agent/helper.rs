//! Programs that the agent itself runs, outside of what freezes: ssh-keygen, hooks. Each has a deadline.

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tokio::time::timeout;

use super::cgroup::Cgroup;
use super::reaper::{Ending, Reaper, Running, ToGroup};
use crate::sys::child::{Surroundings, surround};

/// The PATH of everything that the agent starts.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most input of a helper: what an empty pipe takes at once.
const INPUT_BYTES: usize = 60 * 1024;

/// Why a helper did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error("start {program}")]
    Start { program: String, source: io::Error },
    #[error("{program} ended with {ending:?}")]
    Ended { program: String, ending: Ending },
    #[error("{program} did not end within {} ms", deadline.as_millis())]
    Deadline { program: String, deadline: Duration },
    #[error("lost sight of {program}")]
    Lost { program: String },
}

/// Runs a program to its end, without input and with its output thrown away, and demands that it succeed. Past the
/// deadline it is killed with all that it started.
pub(crate) async fn run(
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
    command: &[&str],
    deadline: Duration,
) -> Result<(), HelperError> {
    let running = start(reaper, cgroup, command, None)?;
    wait(reaper, cgroup, command.first().copied().unwrap_or_default(), running, deadline).await
}

/// Starts a program, with at most [`INPUT_BYTES`] of input.
pub(crate) fn start(
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
    command: &[&str],
    input: Option<&[u8]>,
) -> Result<Running, HelperError> {
    let program = command.first().copied().unwrap_or_default().to_owned();
    let start_error = |source| HelperError::Start { program: program.clone(), source };
    let mut process = Command::new(&program);
    process
        .args(command.iter().skip(1))
        .env_clear()
        .env("PATH", DEFAULT_PATH)
        .env("HOME", "/root")
        .stdin(input.map_or(Ok(Stdio::null()), filled_pipe).map_err(start_error)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let procs = cgroup.map(Cgroup::open_procs).transpose().map_err(start_error)?;
    surround(
        &mut process,
        Surroundings {
            cgroup: procs.map(Into::into),
            takes_terminal: false,
            credentials: None,
            directory: CString::from(c"/"),
        },
    );
    let (_child, running) = reaper.spawn(&mut process).map_err(start_error)?;
    Ok(running)
}

/// Waits for the end of a program. Past the deadline it is killed with all that it started.
pub(crate) async fn wait(
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
    program: &str,
    running: Running,
    deadline: Duration,
) -> Result<(), HelperError> {
    let program = program.to_owned();
    match timeout(deadline, running.ending).await {
        Ok(Ok(Ending::Exited(0))) => Ok(()),
        Ok(Ok(ending)) => Err(HelperError::Ended { program, ending }),
        Ok(Err(_closed)) => Err(HelperError::Lost { program }),
        Err(_elapsed) => {
            let killed = match cgroup {
                Some(cgroup) => cgroup.kill(),
                None => reaper.signal(running.pid, Signal::KILL, ToGroup::Yes).map(drop),
            };
            if let Err(error) = killed {
                tracing::warn!(%error, program, "could not kill a helper");
            }
            Err(HelperError::Deadline { program, deadline })
        }
    }
}

/// Runs a program that is given a line on standard input, and answers the line that it writes.
pub(crate) async fn pipe(
    reaper: &Reaper,
    command: &[&str],
    input: String,
    deadline: Duration,
) -> Result<String, HelperError> {
    const LINE_BYTES: u64 = 16 * 1024;
    let program = command.first().copied().unwrap_or_default().to_owned();
    let start_error = |source| HelperError::Start { program: program.clone(), source };
    let mut process = Command::new(&program);
    process
        .args(command.iter().skip(1))
        .env_clear()
        .env("PATH", DEFAULT_PATH)
        .env("HOME", "/root")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let (mut child, running) = reaper.spawn(&mut process).map_err(start_error)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let talking = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        if let Some(mut stdin) = stdin {
            stdin.write_all(input.as_bytes())?;
        }
        let mut line = String::new();
        if let Some(stdout) = stdout {
            stdout.take(LINE_BYTES).read_to_string(&mut line)?;
        }
        Ok::<_, io::Error>(line.trim().to_owned())
    });
    let talked = timeout(deadline, async {
        let line = talking.await;
        (line, running.ending.await)
    });
    match talked.await {
        Ok((Ok(Ok(line)), Ok(Ending::Exited(0)))) => Ok(line),
        Ok((Ok(Err(source)), _)) => Err(HelperError::Start { program, source }),
        Ok((_, Ok(ending))) => Err(HelperError::Ended { program, ending }),
        Ok((_, Err(_closed))) => Err(HelperError::Lost { program }),
        Err(_elapsed) => {
            if let Err(error) = reaper.signal(running.pid, Signal::KILL, ToGroup::No) {
                tracing::warn!(%error, program, "could not kill a helper");
            }
            Err(HelperError::Deadline { program, deadline })
        }
    }
}

/// A pipe that holds the input already: it takes this much without a reader.
fn filled_pipe(input: &[u8]) -> io::Result<Stdio> {
    if input.len() > INPUT_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
    io::Write::write_all(&mut std::fs::File::from(ours), input)?;
    Ok(theirs.into())
}

/// The program is there to be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
