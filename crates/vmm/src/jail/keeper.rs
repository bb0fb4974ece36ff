//! Pid 1 of a jail: builds it, gives up every privilege, starts the program, keeps what it writes, records how it ends.
//!
//! It lives as long as the program, and no longer; when it is killed the kernel ends everything in its pid namespace. It holds
//! no path of the host, only the open log files, and reads nothing but bytes to be kept.

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, waitid};
use rustix::thread::UnshareFlags;

use super::exit_record::{self, Exit};
use super::failure::{During, Failure};
use super::ring::{CAPACITY_BYTES, RingWriter};
use super::spec::{JailSpec, Logs, Program};
use super::word::Word;
use super::{privileges, root, seccomp, sys};

/// How much is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Becomes the keeper. `report` takes one word, about the start.
pub(super) fn run(spec: &JailSpec, handed: Vec<OwnedFd>, report: PipeWriter) -> ! {
    let is_well_ended = match start(spec, handed) {
        Ok(kept) => say(report, &Word::Started { pid: 1, start_time_ticks: 0 })
            .and_then(|()| kept.keep())
            .is_ok(),
        Err(failure) => say(report, &Word::from(&failure)).is_ok(),
    };
    std::process::exit(i32::from(!is_well_ended))
}

pub(super) fn say(mut report: PipeWriter, word: &Word) -> io::Result<()> {
    report.write_all(&serde_json::to_vec(word)?)
}

/// A started program, a child of this process, and where its output goes.
pub(super) struct Kept {
    /// Its pidfd.
    pub(super) program: OwnedFd,
    /// What it writes.
    pub(super) streams: Vec<Stream>,
    /// Where its end is recorded.
    pub(super) exit: File,
}

/// Outputs of the program that share a ring.
pub(super) struct Stream {
    /// The reading ends, which do not block.
    pub(super) readers: Vec<File>,
    /// Where it goes.
    pub(super) ring: RingWriter,
}

fn start(spec: &JailSpec, handed: Vec<OwnedFd>) -> Result<Kept, Failure> {
    let shared =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    sys::unshare(shared).during(|| "leave the shared namespaces".to_owned())?;
    rustix::process::umask(Mode::empty());
    rustix::system::sethostname(spec.host_name.as_bytes())
        .during(|| "set the host name".to_owned())?;
    let (console, errors, exit) = open_logs(&spec.logs)?;
    root::enter(spec)?;
    privileges::limit(&spec.limits)?;
    privileges::drop_all(spec.owner)?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);

    let (console_reader, console_writer) = pipe()?;
    let (errors_reader, errors_writer) = pipe()?;
    let child = start_program(&spec.program, console_writer, errors_writer)?;
    drop(handed);
    let pid = Pid::from_child(&child);
    let program = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .during(|| "watch the program".to_owned())?;
    seccomp::confine().during(|| "confine the keeper".to_owned())?;
    let streams = vec![
        Stream { readers: vec![console_reader], ring: console },
        Stream { readers: vec![errors_reader], ring: errors },
    ];
    Ok(Kept { program, streams, exit })
}

/// Makes the logs anew.
pub(super) fn open_logs(logs: &Logs) -> Result<(RingWriter, RingWriter, File), Failure> {
    let ring = |path| RingWriter::create(path, CAPACITY_BYTES).during(|| format!("make {path}"));
    let exit = exit_record::create(&logs.exit).during(|| format!("make {}", logs.exit))?;
    Ok((ring(&logs.console)?, ring(&logs.errors)?, exit))
}

/// A pipe whose reading end does not block.
pub(super) fn pipe() -> Result<(File, PipeWriter), Failure> {
    let step = || "make a pipe for the program's output".to_owned();
    let (reader, writer) = io::pipe().during(step)?;
    let flags = rustix::fs::fcntl_getfl(&reader).during(step)?;
    rustix::fs::fcntl_setfl(&reader, flags | OFlags::NONBLOCK).during(step)?;
    Ok((OwnedFd::from(reader).into(), writer))
}

/// What was handed over stays open across exec; standard input is /dev/null already.
fn start_program(
    program: &Program,
    output: PipeWriter,
    errors: PipeWriter,
) -> Result<Child, Failure> {
    Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::inherit())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .during(|| format!("start {}", program.path))
}

impl Kept {
    /// Keeps output until the program ends, then records its end.
    pub(super) fn keep(mut self) -> io::Result<()> {
        let mut buffer = vec![0_u8; CHUNK_BYTES];
        while !self.wait()? {
            self.drain(&mut buffer, Amount::Some);
        }
        let status = waitid(WaitId::PidFd(self.program.as_fd()), WaitIdOptions::EXITED)?;
        self.drain(&mut buffer, Amount::All);
        exit_record::fill(&self.exit, status.map_or(Exit::Code(-1), Exit::from))
    }

    fn drain(&mut self, buffer: &mut [u8], amount: Amount) {
        for Stream { readers, ring } in &mut self.streams {
            readers.retain_mut(|reader| drain(reader, ring, buffer, amount));
        }
    }

    /// Waits for output or for the end; true at the end. This is the one wait without a deadline: it is the program's life.
    fn wait(&self) -> io::Result<bool> {
        let mut watched = vec![PollFd::new(&self.program, PollFlags::IN)];
        let readers = self.streams.iter().flat_map(|stream| &stream.readers);
        watched
            .extend(readers.map(|reader| PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN)));
        match poll(&mut watched, None) {
            Ok(_) => Ok(!watched[0].revents().is_empty()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// How much of a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// One chunk.
    Some,
    /// Whatever the ended program left.
    All,
}

/// Moves output to the ring; false once there is no more. A ring that cannot be written loses the bytes rather than stop the
/// program, which would block on a full pipe.
fn drain(reader: &mut File, ring: &mut RingWriter, buffer: &mut [u8], amount: Amount) -> bool {
    loop {
        match reader.read(buffer) {
            Ok(0) => return false,
            Ok(length) => {
                if ring.append(&buffer[..length]).is_err() {
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        if amount == Amount::Some {
            return true;
        }
    }
}
