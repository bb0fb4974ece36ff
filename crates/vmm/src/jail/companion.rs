//! A program beside a jail, such as what fills a machine's files: born as a jail is, into a control group and a session of its own, with
//! nothing open, so that it outlives the daemon.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::cgroup::Cgroup;

use super::spawn::{JailError, Launcher};
use super::sys::Birth;

/// The longest word of a companion.
const MAXIMUM_BYTES: u64 = 4096;

/// Starts a program that leaves a child behind and ends, and answers what the two wrote to their standard output until both had closed
/// it. On any error what there is of them dies with `cgroup`, which the caller ends.
pub async fn start_companion(
    program: &Launcher,
    cgroup: &Cgroup,
    deadline: Duration,
) -> Result<String, JailError> {
    let group = cgroup.open_directory().map_err(JailError::Cgroup)?;
    let (reader, writer) = io::pipe().map_err(JailError::Hear)?;
    let null = File::open("/dev/null").map_err(JailError::Specification)?;
    let birth = Birth {
        program: program.program.clone().into_string(),
        arguments: program.arguments.clone(),
        input: null.into(),
        output: writer.into(),
        cgroup: group,
    };
    let born = tokio::task::spawn_blocking(move || birth.run()).await;
    let failed = |source| JailError::Start { program: program.program.clone(), source };
    let child = born.map_err(io::Error::other).map_err(failed)?.map_err(failed)?;

    let mut text = String::new();
    let heard = tokio::time::timeout(deadline, async {
        let receiver = pipe::Receiver::from_owned_fd(reader.into())?;
        receiver.take(MAXIMUM_BYTES).read_to_string(&mut text).await
    });
    let heard = heard.await;
    if !matches!(heard, Ok(Ok(_))) {
        pidfd_send_signal(&child, Signal::KILL).map_err(|error| JailError::Hear(error.into()))?;
    }
    // It left its child behind long ago, or was killed: it ends at once.
    let reaped = tokio::task::spawn_blocking(move || {
        waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED)
    });
    reaped
        .await
        .map_err(io::Error::other)
        .map_err(JailError::Hear)?
        .map_err(|error| JailError::Hear(error.into()))?;
    match heard {
        Err(_elapsed) => Err(JailError::Silent { deadline }),
        Ok(read) => read.map_err(JailError::Hear).map(|_length| text),
    }
}
