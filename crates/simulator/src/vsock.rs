//! The socket by which the host reaches the guest's vsock: one line asks for a port, one answers, and then the stream is the guest's.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::agent::Agent;
use super::answer::with;
use super::configuration::Configuration;
use super::machine::Machine;

/// The port on which the guest is told something, and answers `OK`; or on which its agent listens.
const TOLD_PORT: u32 = 1024;
/// The port on which the guest that polls says how far it has counted.
const COUNTER_PORT: u32 = 1025;
/// The first of the host's own ports that are told to a caller.
const HOST_PORT: u32 = 1 << 30;
/// The longest line of a caller that is read.
const LINE_BYTES: u64 = 64 * 1024;
/// Streams at once; more are refused.
const STREAMS: usize = 64;

/// The device.
#[derive(Debug)]
pub(super) struct Vsock {
    listener: UnixListener,
    streams: Streams,
}

/// Every stream that goes through the device now.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<Mutex<Vec<UnixStream>>>);

impl Vsock {
    /// Makes the socket, which must not be there.
    pub(super) fn listen_for(configuration: &Configuration) -> Result<Option<Self>, String> {
        let Some(vsock) = &configuration.vsock else { return Ok(None) };
        let listener = UnixListener::bind(&vsock.uds_path)
            .map_err(with(format!("Cannot bind the vsock socket {}", vsock.uds_path)))?;
        Ok(Some(Self { listener, streams: Streams::default() }))
    }

    /// Serves it as long as the process lives.
    pub(super) fn serve(&self, machine: Machine) -> io::Result<()> {
        let (listener, streams) = (self.listener.try_clone()?, self.streams.clone());
        std::thread::Builder::new().name("fc_vsock".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (machine, streams) = (machine.clone(), streams.clone());
                let served = std::thread::Builder::new().spawn(move || {
                    if let Err(error) = converse(&stream, &machine, &streams) {
                        eprintln!("a vsock stream ended: {error}");
                    }
                    streams.forget(&stream);
                });
                if let Err(error) = served {
                    eprintln!("a vsock stream is refused: {error}");
                }
            }
        })?;
        Ok(())
    }

    /// Cuts every stream, as each snapshot does.
    pub(super) fn reset(&self) {
        for stream in self.streams.lock().drain(..) {
            // One that is gone already is cut too.
            if let Err(error) = stream.shutdown(Shutdown::Both) {
                eprintln!("a vsock stream was gone: {error}");
            }
        }
    }
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, stream: &UnixStream) -> io::Result<()> {
        let mut streams = self.lock();
        if streams.len() >= STREAMS {
            return Err(io::Error::other("there are too many"));
        }
        streams.push(stream.try_clone()?);
        Ok(())
    }

    /// Those whose other end is gone.
    fn forget(&self, stream: &UnixStream) {
        if let Err(error) = stream.shutdown(Shutdown::Both) {
            eprintln!("a vsock stream was gone: {error}");
        }
        self.lock().retain(|other| other.peer_addr().is_ok());
    }
}

/// A guest that stands still answers nothing, and neither does a port of nobody: the stream ends.
fn converse(stream: &UnixStream, machine: &Machine, streams: &Streams) -> io::Result<()> {
    streams.remember(stream)?;
    let wanted = unbuffered_line(stream)?;
    let port = wanted.strip_prefix("CONNECT ").and_then(|port| port.trim().parse::<u32>().ok());
    let port = port.ok_or_else(|| io::Error::other(format!("{wanted:?} asks for no port")))?;
    let has_agent = machine.wait_running().guest.has_agent()?;
    match (has_agent, port) {
        (true, TOLD_PORT) => {
            let agent = Agent::connect()?;
            streams.remember(&agent)?;
            accept(stream)?;
            pass(stream, &agent)
        }
        (false, TOLD_PORT | COUNTER_PORT) => {
            accept(stream)?;
            answer_lines(stream, machine, port)
        }
        _ => Err(io::Error::other(format!("nobody listens on port {port}"))),
    }
}

fn accept(mut stream: &UnixStream) -> io::Result<()> {
    stream.write_all(format!("OK {HOST_PORT}\n").as_bytes())
}

/// What the guest that polls says to each line.
fn answer_lines(mut stream: &UnixStream, machine: &Machine, port: u32) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.by_ref().take(LINE_BYTES).read_line(&mut line)? != 0 {
        let counter = machine.wait_running().guest.counter()?;
        let said = if port == COUNTER_PORT { format!("{counter}\n") } else { "OK\n".to_owned() };
        stream.write_all(said.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Bytes both ways until either end is gone.
fn pass(host: &UnixStream, guest: &UnixStream) -> io::Result<()> {
    std::thread::scope(|scope| {
        scope.spawn(|| one_way(host, guest));
        one_way(guest, host);
    });
    Ok(())
}

fn one_way(mut from: &UnixStream, mut to: &UnixStream) {
    let passed = io::copy(&mut from, &mut to);
    let closed = to.shutdown(Shutdown::Write);
    if let (Err(error), _) | (Ok(_), Err(error)) = (passed, closed) {
        eprintln!("a vsock stream broke: {error}");
    }
}

/// Byte by byte: what follows the line is the guest's.
fn unbuffered_line(mut stream: &UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 64 && stream.read(&mut byte)? == 1 {
        if byte == *b"\n" {
            return String::from_utf8(line).map_err(io::Error::other);
        }
        line.extend(byte);
    }
    Err(io::Error::other("no line asks for a port"))
}
