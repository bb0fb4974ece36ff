//! The system calls of daemon and launcher that have no safe wrapper.
#![expect(
    unsafe_code,
    reason = "clone, fork, descriptor numbers and tap ioctls have no safe wrapper"
)]

mod birth;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub(super) use birth::Birth;

/// Which side of a [`fork`] this is.
pub(super) enum Forked {
    /// The new process.
    Child,
    /// The old one, with the pid of the new.
    Parent(u32),
}

/// Forks this process, which must have one thread. Refused when it has more: the child of a threaded process may inherit
/// locks that nobody will release.
pub(super) fn fork() -> io::Result<Forked> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads cannot be forked"));
    }
    // SAFETY: this is the only thread, checked above, so the child finds every lock and the allocator at rest.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => u32::try_from(pid).map(Forked::Parent).map_err(io::Error::other),
    }
}

/// Closes every descriptor from `first` on. For the very start of the launcher, when it has opened nothing itself.
pub(super) fn close_inherited(first: u32) -> io::Result<()> {
    // SAFETY: the caller owns no descriptor yet, so none that a safe value stands for is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Moves a descriptor to a number of its own, from where programs inherit it. The number must be free.
pub(super) fn place(descriptor: OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD touches no memory; it takes the lowest free number from `number` on and never replaces one in use.
    let placed = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD, number) };
    if placed == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made by the call above, and nothing else knows it.
    let placed = unsafe { OwnedFd::from_raw_fd(placed) };
    if placed.as_raw_fd() == number {
        Ok(placed)
    } else {
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }
}

/// Ties an open `/dev/net/tun` to the existing tap `name` in this network namespace.
pub(super) fn attach_tap(device: &File, name: &str) -> io::Result<()> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: 0 },
    };
    if name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives across the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Empties the bounding set of this thread, whatever capabilities this kernel knows.
pub(super) fn drop_bounding_set() -> io::Result<()> {
    for capability in 0_u64..64 {
        // SAFETY: prctl with PR_CAPBSET_DROP takes numbers only.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == -1 {
            let error = io::Error::last_os_error();
            let is_past_the_last = error.raw_os_error() == Some(libc::EINVAL) && capability > 0;
            return if is_past_the_last { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// Hides this process from the debuggers of its own uid.
pub(super) fn forbid_tracing() -> io::Result<()> {
    // SAFETY: prctl with PR_SET_DUMPABLE takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Leaves the shared namespaces of this process.
pub(super) fn unshare(namespaces: rustix::thread::UnshareFlags) -> io::Result<()> {
    assert!(!namespaces.contains(rustix::thread::UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: the descriptor table is not unshared, checked above; every other namespace is safe to leave.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }.map_err(io::Error::from)
}

/// Puts a seccomp filter on this process, which has given up new privileges and has one thread.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions, which live across the call, and writes to none of them.
    let result = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
