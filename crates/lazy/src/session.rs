//! A session of the file system on a descriptor that a supervisor holds: begun, or taken over.
//!
//! `fuser` has no call to go on with a session that another process began. So it is given a socket
//! with an INIT request of our own; once it has answered that, the live descriptor takes the
//! socket's number, and the kernel is asked to send again what the dead server had not answered
//! (`FUSE_NOTIFY_RESEND`, Linux 6.9: without it those requests would wait for ever).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use fuser::{Config, Session, SessionACL};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::file_system::LazyFileSystem;
use crate::sys;

/// `FUSE_INIT` of linux/fuse.h.
const OPCODE_INIT: u32 = 26;
/// `FUSE_NOTIFY_RESEND` of linux/fuse.h.
const NOTIFY_RESEND: u32 = 7;
/// The protocol that the forged request speaks: that of Linux 6.9.
const PROTOCOL: (u32, u32) = (7, 40);
/// Its read-ahead, which the kernel never hears of.
const READ_AHEAD_BYTES: u32 = 128 * 1024;
/// Threads that read requests; what takes long is done by tasks.
const THREADS: usize = 2;

/// Whether a server before this one has begun the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// None has: the kernel's INIT is still to be answered.
    New,
    /// One has, and is dead.
    TakenOver,
}

/// The session of `files` on `device`.
///
/// # Errors
/// When the kernel does not say what is expected.
pub fn open(
    files: LazyFileSystem,
    device: OwnedFd,
    beginning: Beginning,
) -> io::Result<Session<LazyFileSystem>> {
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.n_threads = Some(THREADS);
    match beginning {
        Beginning::New => Session::from_fd(files, device, SessionACL::All, config),
        Beginning::TakenOver => take_over(files, &device, config),
    }
}

fn take_over(
    files: LazyFileSystem,
    device: &OwnedFd,
    config: Config,
) -> io::Result<Session<LazyFileSystem>> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&ours, &forged_init(), SendFlags::empty())?;
    let session = Session::from_fd(files, theirs, SessionACL::All, config)?;
    let mut answer = [0_u8; 256];
    let (length, _) = rustix::net::recv(&ours, &mut answer, RecvFlags::DONTWAIT)?;
    if length == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no answer to a forged INIT"));
    }
    sys::replace(session.as_fd(), device)?;
    rustix::io::write(session.as_fd(), &resend())?;
    Ok(session)
}

/// `fuse_in_header` and `fuse_init_in`.
fn forged_init() -> Vec<u8> {
    let (major, minor) = PROTOCOL;
    let mut body = Vec::new();
    for number in [major, minor, READ_AHEAD_BYTES] {
        body.extend(number.to_ne_bytes());
    }
    // No flags, and none of their extension.
    body.extend([0; 13 * 4]);
    let length = u32::try_from(40 + body.len()).unwrap_or(u32::MAX);
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(OPCODE_INIT.to_ne_bytes());
    // unique, node
    request.extend(1_u64.to_ne_bytes());
    request.extend(0_u64.to_ne_bytes());
    // uid, gid, pid, padding
    request.extend([0; 16]);
    request.extend(body);
    request
}

/// A notification: `fuse_out_header` with its code in place of an error.
fn resend() -> Vec<u8> {
    let mut notification = Vec::new();
    notification.extend(16_u32.to_ne_bytes());
    notification.extend(NOTIFY_RESEND.to_ne_bytes());
    notification.extend(0_u64.to_ne_bytes());
    notification
}
