//! The virtio-serial port: found by its name, served for ever.
//!
//! Where no host is connected, poll says IN and HUP at once and a read gives 0. The port is then asked again after a
//! pause; it stays open, since closing it would make the VMM hold back what the host sends.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::connection::Connection;
use crate::agent::nonblocking::Nonblocking;
use crate::framing::{self, Presence, SessionStream};

const PORTS: &str = "/sys/class/virtio-ports";

/// Pauses while there is no port or no host, growing from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// Serves the port of this name, or of this path, as long as the agent lives.
pub(crate) async fn serve_port(
    name: String,
    connections: mpsc::Sender<Connection>,
    presence: Presence,
) {
    let (sender, mut sessions) = mpsc::channel::<SessionStream>(super::PENDING_CONNECTIONS);
    let forwarding = async {
        while let Some(session) = sessions.recv().await {
            if connections.send(Connection::Framed(session)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = forwarding => {}
        () = drive(&name, &sender, &presence) => {}
    }
}

async fn drive(name: &str, sessions: &mpsc::Sender<SessionStream>, presence: &Presence) {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(name) {
            Ok(port) => {
                tracing::info!(name, "opened the port to the host");
                if let Err(error) = serve_open_port(port, sessions, presence).await {
                    tracing::warn!(%error, name, "the port failed");
                }
            }
            Err(error) => tracing::debug!(%error, name, "could not open the port"),
        }
        sleep(pause).await;
        pause = LAST_PAUSE.min(pause * 2);
    }
}

/// Returns only with an error of the port itself.
async fn serve_open_port(
    port: OwnedFd,
    sessions: &mpsc::Sender<SessionStream>,
    presence: &Presence,
) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        if has_host(&port)? {
            pause = FIRST_PAUSE;
            // Registered anew each time: the runtime never forgets a HUP that it saw.
            let stream = Nonblocking::new(port.try_clone()?)?;
            framing::serve(stream, sessions, presence).await?;
            tracing::debug!("the host's end of the port is gone");
        }
        sleep(pause).await;
        pause = LAST_PAUSE.min(pause * 2);
    }
}

fn has_host(port: &OwnedFd) -> io::Result<bool> {
    let mut wanted = [PollFd::new(port, PollFlags::IN | PollFlags::OUT)];
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut wanted, Some(&no_time)) {
        Ok(_) => Ok(!wanted[0].revents().contains(PollFlags::HUP)),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn open(name: &str) -> io::Result<OwnedFd> {
    let path =
        if name.starts_with('/') { PathBuf::from(name) } else { find(Path::new(PORTS), name)? };
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).map_err(|_| io::ErrorKind::InvalidInput)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    file.as_fd().try_clone_to_owned()
}

/// The device of the port with this name.
fn find(ports: &Path, name: &str) -> io::Result<PathBuf> {
    for entry in fs::read_dir(ports)? {
        let entry = entry?;
        // A port without a name has no such file.
        let is_wanted =
            fs::read_to_string(entry.path().join("name")).is_ok_and(|text| text.trim_end() == name);
        if is_wanted {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no port has this name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let ports = tempfile::tempdir().unwrap();
        for (device, name) in [("vport0p1", "other\n"), ("vport0p2", "agent.0\n")] {
            fs::create_dir(ports.path().join(device)).unwrap();
            fs::write(ports.path().join(device).join("name"), name).unwrap();
        }
        fs::create_dir(ports.path().join("vport0p3")).unwrap();
        assert_eq!(find(ports.path(), "agent.0").unwrap(), Path::new("/dev/vport0p2"));
        let error = find(ports.path(), "agent.1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
