//! Unix sockets beneath long directory names.
//!
//! A socket's path may have 107 bytes, which a root directory, a machine's id and a file name can exceed. Through the
//! directory's descriptor the path is always short: `/proc/self/fd/<n>/<name>`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};

/// A directory held open for as long as a short path through it is in use.
#[derive(Debug)]
pub struct SocketPath {
    directory: OwnedFd,
    name: String,
}

impl SocketPath {
    /// Opens the directory of `socket`; the socket itself may or may not exist.
    pub fn open(socket: &Utf8Path) -> io::Result<Self> {
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{socket} names no socket"),
            ));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory.as_std_path(), flags, Mode::empty())?;
        Ok(Self { directory, name: name.to_owned() })
    }

    /// The short path; valid while this value lives.
    pub fn short(&self) -> Utf8PathBuf {
        format!("/proc/self/fd/{}/{}", self.directory.as_raw_fd(), self.name).into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_beneath_a_very_long_directory_is_bound_and_reached() {
        let temporary = tempfile::tempdir().unwrap();
        let long = Utf8Path::from_path(temporary.path()).unwrap().join("d".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let path = SocketPath::open(&long.join("qmp.sock")).unwrap();

        let _listener = UnixListener::bind(path.short()).unwrap();

        UnixStream::connect(path.short()).unwrap();
        assert!(long.join("qmp.sock").exists());
    }
}
