//! The keeper of a jailer's program: root until that runs, then nobody.

use std::fs::File;
use std::io::{self, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::fs::Mode;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, waitid};
use rustix::thread::UnshareFlags;

use crate::process::ProcessStat;

use super::super::failure::{During, Failure, refuse};
use super::super::keeper::{Kept, Stream, open_logs, pipe, say};
use super::super::word::Word;
use super::super::{privileges, root, seccomp, sys};
use super::layout;
use super::spec::JailerSpec;

/// How much of what a failed jailer said goes into the error.
const LAST_WORDS_BYTES: u64 = 2048;

/// Becomes the keeper. `report` takes one word, about the start.
pub(in crate::jail) fn keep(spec: &JailerSpec, report: PipeWriter) -> ! {
    let is_well_ended = match start(spec) {
        Ok((kept, word)) => say(report, &word).and_then(|()| kept.keep()).is_ok(),
        Err(failure) => say(report, &Word::from(&failure)).is_ok(),
    };
    std::process::exit(i32::from(!is_well_ended))
}

fn start(spec: &JailerSpec) -> Result<(Kept, Word), Failure> {
    let shared =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    sys::unshare(shared).during(|| "leave the shared namespaces".to_owned())?;
    rustix::process::umask(Mode::empty());
    rustix::system::sethostname(spec.id.as_bytes()).during(|| "set the host name".to_owned())?;
    let (console, errors, exit) = open_logs(&spec.logs)?;
    let log = layout::lay_out(spec)?;
    // What the jailer starts is orphaned when it ends, and becomes this process's child.
    rustix::process::set_child_subreaper(rustix::process::getpid().into())
        .during(|| "adopt what the jailer starts".to_owned())?;
    privileges::limit(&spec.limits)?;
    privileges::forbid_new().during(|| "forbid new privileges".to_owned())?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);

    let (console_reader, errors_reader) = run_jailer(spec)?;
    let (program, word) = adopt(spec)?;
    root::pivot(&spec.directory)?;
    privileges::drop_all(spec.owner)?;
    seccomp::confine().during(|| "confine the keeper".to_owned())?;
    let streams = vec![
        Stream { readers: vec![console_reader], ring: console },
        Stream { readers: vec![errors_reader, log], ring: errors },
    ];
    Ok((Kept { program, streams, exit }, word))
}

/// Runs the jailer to its end, which comes when its program has begun; answers the program's output and errors.
fn run_jailer(spec: &JailerSpec) -> Result<(File, File), Failure> {
    let (console, console_writer) = pipe()?;
    let (mut errors, errors_writer) = pipe()?;
    let step = || format!("run the jailer {}", spec.jailer);
    let mut command = Command::new(&spec.jailer);
    command.args(spec.jailer_arguments()).env_clear().current_dir("/");
    command.stdin(Stdio::inherit()).stdout(console_writer).stderr(errors_writer);
    let status = command.spawn().during(step)?.wait().during(step)?;
    if status.success() {
        return Ok((console, errors));
    }
    let mut said = Vec::new();
    match (&mut errors).take(LAST_WORDS_BYTES).read_to_end(&mut said) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error).during(step),
        _ => {}
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().next().unwrap_or("it said nothing");
    Err(refuse(step(), &format!("{status}: {said}")))
}

/// The program, by the pid that the jailer left, if it is really a child of this process.
fn adopt(spec: &JailerSpec) -> Result<(OwnedFd, Word), Failure> {
    let step = || "find what the jailer started".to_owned();
    let number = layout::read_pid(spec)?;
    let pid = Pid::from_raw(number).ok_or_else(|| refuse(step(), "it left no pid"))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).during(step)?;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::PidFd(pidfd.as_fd()), look).during(step)?;
    let pid = u32::try_from(number).map_err(io::Error::other).during(step)?;
    let stat = ProcessStat::read(pid).during(step)?;
    let stat = stat.ok_or_else(|| refuse(step(), "it is gone"))?;
    Ok((pidfd, Word::Started { pid, start_time_ticks: stat.start_time_ticks }))
}
