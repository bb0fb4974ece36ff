//! A listening vsock socket: see vsock(7).
#![expect(unsafe_code, reason = "no safe wrapper builds a sockaddr_vm")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, listen, socket_with};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// Listens on a port, for any peer.
///
/// # Errors
/// Without vsock in the kernel, or when the port is taken.
pub(crate) fn listener(port: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)?;
    // SAFETY: sockaddr_vm is a plain C struct of integers, for which all zeros is a value.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::sa_family_t::try_from(libc::AF_VSOCK).expect("AF_VSOCK is 40");
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = port;
    let length = libc::socklen_t::try_from(size_of_val(&address)).expect("it has 16 bytes");
    // SAFETY: the descriptor is open, and the pointer and length describe `address`, which outlives the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if bound != 0 {
        return Err(io::Error::last_os_error());
    }
    listen(&socket, BACKLOG)?;
    Ok(socket)
}
