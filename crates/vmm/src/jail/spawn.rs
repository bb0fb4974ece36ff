//! The daemon's side of a launch: start the launcher inside its control group, hear its word, know who runs.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use camino::Utf8PathBuf;
use rustix::fs::MemfdFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::cgroup::{Cgroup, CgroupError};
use crate::process::{VmmHandle, boot_id};

use super::spec::{self, Task};
use super::sys::Birth;
use super::word::{self, Word};

/// How the launcher is started: the daemon's own binary with its hidden subcommand, as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program; `/proc/self/exe` stays right when the binary on disk is replaced.
    pub program: Utf8PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why a jail did not come to be. Whatever was left of it is inside its control group.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The control group could not be entered.
    #[error("open the control group of the jail")]
    Cgroup(#[source] CgroupError),
    /// The specification could not be handed over.
    #[error("hand over the jail's specification")]
    Specification(#[source] io::Error),
    /// The launcher did not start.
    #[error("start the launcher {program}")]
    Start {
        /// Its program.
        program: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its word could not be read.
    #[error("hear from the launcher")]
    Hear(#[source] io::Error),
    /// It was still silent after the deadline.
    #[error("the launcher said nothing for {} ms", deadline.as_millis())]
    Silent {
        /// The deadline.
        deadline: Duration,
    },
    /// It ended without a word.
    #[error("the launcher ended without a word")]
    Wordless,
    /// One of its steps failed.
    #[error("{step}: {reason}")]
    SetUp {
        /// What was tried.
        step: String,
        /// Why it did not work.
        reason: String,
        /// The errno, where a system call failed.
        os_error: Option<i32>,
    },
}

/// Starts a jail and answers who stands for it (its keeper, or the program that a jailer started) once that has begun. The jail lives on by itself; on any error
/// what there is of it dies with `cgroup`, which the caller ends.
pub async fn spawn(
    launcher: &Launcher,
    cgroup: &Cgroup,
    task: &Task,
    deadline: Duration,
) -> Result<VmmHandle, JailError> {
    let input = specification(task).map_err(JailError::Specification)?;
    let text = run(launcher, cgroup, input, word::MAXIMUM_BYTES, deadline).await?;
    if text.is_empty() {
        return Err(JailError::Wordless);
    }
    match serde_json::from_slice(&text).map_err(io::Error::from).map_err(JailError::Hear)? {
        Word::Failed { step, reason, os_error } => Err(JailError::SetUp { step, reason, os_error }),
        Word::Started { pid, start_time_ticks } => {
            let boot_id = boot_id().map_err(JailError::Hear)?;
            Ok(VmmHandle { pid, start_time_ticks, boot_id })
        }
    }
}

/// Starts a program inside the control group, and answers what it and what it leaves behind wrote to their standard output, `most_bytes` of it, until all had
/// closed it. At the deadline the program is killed.
pub(super) async fn run(
    launcher: &Launcher,
    cgroup: &Cgroup,
    input: File,
    most_bytes: u64,
    deadline: Duration,
) -> Result<Vec<u8>, JailError> {
    let group = cgroup.open_directory().map_err(JailError::Cgroup)?;
    let (reader, writer) = io::pipe().map_err(JailError::Hear)?;
    let birth = Birth {
        program: launcher.program.clone().into_string(),
        arguments: launcher.arguments.clone(),
        input: input.into(),
        output: writer.into(),
        cgroup: group,
    };
    // The birth's descriptors are closed with it, or the pipe would never end.
    let born = tokio::task::spawn_blocking(move || birth.run()).await;
    let failed = |source| JailError::Start { program: launcher.program.clone(), source };
    let child = born.map_err(io::Error::other).map_err(failed)?.map_err(failed)?;

    let mut text = Vec::new();
    let heard = tokio::time::timeout(deadline, hear(reader, most_bytes, &mut text)).await;
    if !matches!(heard, Ok(Ok(()))) {
        pidfd_send_signal(&child, Signal::KILL).map_err(|error| JailError::Hear(error.into()))?;
    }
    // It closed its output, leaving a child behind or not, or was killed: it ends at once.
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
        Ok(read) => read.map_err(JailError::Hear).map(|()| text),
    }
}

/// Reads until the launcher closes its end; the keeper holds none.
async fn hear(reader: io::PipeReader, most_bytes: u64, text: &mut Vec<u8>) -> io::Result<()> {
    let receiver = pipe::Receiver::from_owned_fd(reader.into())?;
    receiver.take(most_bytes).read_to_end(text).await.map(|_length| ())
}

/// The specification as an anonymous file: on no command line and in no directory.
fn specification(task: &Task) -> io::Result<File> {
    let text = serde_json::to_vec(task)?;
    if text.len() as u64 > spec::MAXIMUM_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is too long"));
    }
    let mut file = File::from(rustix::fs::memfd_create("jail-spec", MemfdFlags::CLOEXEC)?);
    file.write_all(&text)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
