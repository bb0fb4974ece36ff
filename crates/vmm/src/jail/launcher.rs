//! The launcher: a fresh process that turns itself into a jail with a program in it.
//!
//! Its standard input holds the [`JailSpec`], its standard output takes one word. It relies on having one thread, on
//! being root, and on having been born into its session and control group by [`spawn`](super::spawn()).

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use camino::Utf8Path;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::process::ProcessStat;

use super::failure::{During, Failure, refuse};
use super::jailer::JailerSpec;
use super::spec::{self, JailSpec, Task};
use super::sys::{self, Forked};
use super::word::{self, Word};
use super::{descriptors, jailer, keeper};

/// From here on lie the launcher's own descriptors, out of the way of the numbers that are handed over.
const ASIDE: i32 = 64;

/// Runs a launcher from its first statement to its end; the hidden subcommand calls nothing before it.
///
/// In the launcher it returns once the word is said. In the process that becomes the keeper it never returns.
pub fn run() -> ExitCode {
    let streams = sys::close_inherited(3)
        .during(|| "close inherited descriptors".to_owned())
        .and_then(|()| take_standard_streams());
    let Ok((input, output)) = streams else { return ExitCode::FAILURE };
    let word = match split(input) {
        Ok(Side::Keeper { spec, handed, report }) => {
            // The daemon reads until nobody holds this end.
            drop(output);
            keeper::run(&spec, handed, report)
        }
        Ok(Side::Warden { spec, report }) => {
            drop(output);
            jailer::keep(&spec, report)
        }
        Ok(Side::Launcher { keeper, report }) => hear(keeper, report),
        Err(failure) => Err(failure),
    };
    say(output, &word.unwrap_or_else(|failure| Word::from(&failure)))
}

/// A daemon that does not hear of a started jail ends it with its control group.
fn say(mut output: File, word: &Word) -> ExitCode {
    let said =
        serde_json::to_vec(word).map_err(io::Error::from).and_then(|line| output.write_all(&line));
    match (said, word) {
        (Ok(()), Word::Started { .. }) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Which of the two processes this is, after the fork.
enum Side {
    /// Pid 1 of the jail.
    Keeper { spec: Box<JailSpec>, handed: Vec<OwnedFd>, report: PipeWriter },
    /// Parent of a jailer.
    Warden { spec: Box<JailerSpec>, report: PipeWriter },
    /// Its parent, which hears from it and leaves.
    Launcher { keeper: u32, report: PipeReader },
}

/// Keeps the two ends that lead to the daemon out of everybody's sight, and leaves /dev/null in their place.
fn take_standard_streams() -> Result<(File, File), Failure> {
    let step = || "set the standard streams aside".to_owned();
    let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), ASIDE).during(step)?;
    let output = rustix::io::fcntl_dupfd_cloexec(io::stdout(), ASIDE).during(step)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").during(step)?;
    rustix::stdio::dup2_stdin(&null).during(step)?;
    rustix::stdio::dup2_stdout(&null).during(step)?;
    rustix::stdio::dup2_stderr(&null).during(step)?;
    Ok((input.into(), output.into()))
}

fn split(input: File) -> Result<Side, Failure> {
    let task = read_task(input)?;
    enter_network(task.network_namespace())?;
    let handed = match &task {
        Task::Jail(spec) => {
            let handed = descriptors::open_all(spec)?;
            // Of these only the child becomes a member. The keeper leaves the others itself, so that this process still finds it in /proc.
            sys::unshare(UnshareFlags::NEWPID).during(|| "make a pid namespace".to_owned())?;
            handed
        }
        Task::Jailer(spec) => {
            descriptors::look_for_tap(&spec.tap)?;
            Vec::new()
        }
    };
    let (reader, writer) = io::pipe().during(|| "make a pipe to the keeper".to_owned())?;
    Ok(match (sys::fork().during(|| "fork the keeper".to_owned())?, task) {
        (Forked::Child, Task::Jail(spec)) => Side::Keeper { spec, handed, report: writer },
        (Forked::Child, Task::Jailer(spec)) => Side::Warden { spec, report: writer },
        (Forked::Parent(keeper), _) => Side::Launcher { keeper, report: reader },
    })
}

fn read_task(input: File) -> Result<Task, Failure> {
    let step = || "read the jail's specification".to_owned();
    let mut text = Vec::new();
    input.take(spec::MAXIMUM_BYTES + 1).read_to_end(&mut text).during(step)?;
    if text.len() as u64 > spec::MAXIMUM_BYTES {
        return Err(refuse(step(), "it is too long"));
    }
    let task: Task = serde_json::from_slice(&text).during(step)?;
    if task.version() != spec::VERSION {
        return Err(refuse(step(), "it is of another version"));
    }
    if task.owner() == 0 {
        return Err(refuse(step(), "nothing in a jail runs as root"));
    }
    Ok(task)
}

fn enter_network(namespace: Option<&Utf8Path>) -> Result<(), Failure> {
    let Some(path) = namespace else {
        return sys::unshare(UnshareFlags::NEWNET)
            .during(|| "make an empty network namespace".to_owned());
    };
    let step = || format!("enter the network namespace {path}");
    let file = File::open(path).during(step)?;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .during(step)
}

/// Waits for the keeper, which says one word or ends. While this process is its parent its pid cannot be another's.
fn hear(pid: u32, reader: PipeReader) -> Result<Word, Failure> {
    let step = || "hear from the keeper".to_owned();
    let mut text = Vec::new();
    reader.take(word::MAXIMUM_BYTES).read_to_end(&mut text).during(step)?;
    if text.is_empty() {
        return Err(refuse(step(), "it ended without a word"));
    }
    match serde_json::from_slice(&text).during(step)? {
        // One that speaks for another process knows its number.
        told @ (Word::Failed { .. } | Word::Started { pid: 2.., .. }) => Ok(told),
        Word::Started { .. } => {
            let stat = ProcessStat::read(pid).during(step)?;
            let stat = stat.ok_or_else(|| refuse(step(), "it is gone"))?;
            Ok(Word::Started { pid, start_time_ticks: stat.start_time_ticks })
        }
    }
}
