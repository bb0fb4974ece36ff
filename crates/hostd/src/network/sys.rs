//! The two things of Linux networking that have no safe wrapper: leaving the network namespace of the calling
//! thread, and the `ioctl`s that make a tap.
#![expect(
    unsafe_code,
    reason = "unshare(2) and the tap ioctls have no safe wrapper in std or rustix"
)]

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
};

/// Puts the calling thread, and no other, into a new network namespace.
///
/// Threads and processes that it starts from now on are born there too, so call it on a thread of its own.
pub(super) fn unshare_network() -> io::Result<()> {
    // SAFETY: unshare takes a flag word and touches no memory of ours; CLONE_NEWNET alone changes only which network
    // namespace this thread uses, which no Rust invariant depends on.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a tap that stays when its descriptor is closed and that processes of user `owner` may open without
/// privileges. Made in the network namespace of the calling thread. Fails with `EBUSY` when something has it open.
pub(super) fn make_persistent_tap(name: &str, owner: u32) -> io::Result<()> {
    let tap = open_tap(name)?;
    set(&tap, libc::TUNSETOWNER, libc::c_ulong::from(owner))?;
    set(&tap, libc::TUNSETPERSIST, 1)
}

/// Opens the tap `name` of the calling thread's network namespace for whole Ethernet frames without any header,
/// and makes it when it is not there. Non-blocking.
pub(super) fn open_tap(name: &str) -> io::Result<File> {
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    let mut request = libc::ifreq {
        ifr_name: interface_name(name)?,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short,
        },
    };
    // SAFETY: `tap` is an open descriptor, and TUNSETIFF reads and writes one `ifreq`, which `request` is, fully
    // initialised (the union's other bytes are never read for this request), and alive for the whole call.
    match unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        0 => Ok(tap),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's form of an interface name: at most 15 bytes, then NUL.
fn interface_name(name: &str) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut bytes = [0; libc::IFNAMSIZ];
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (byte, character) in bytes.iter_mut().zip(name.bytes()) {
        *byte = character as libc::c_char;
    }
    Ok(bytes)
}

fn set(tap: &File, request: libc::Ioctl, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: `tap` is an open descriptor; TUNSETOWNER and TUNSETPERSIST take a number, not a pointer, so the kernel
    // touches no memory of ours.
    match unsafe { libc::ioctl(tap.as_raw_fd(), request, value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_of_sixteen_bytes_is_refused() {
        assert!(interface_name("abcdefghijklmno").is_ok());
        assert!(interface_name("abcdefghijklmnop").is_err());
        assert!(interface_name("").is_err());
    }
}
