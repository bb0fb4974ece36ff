//! Makes a mounted ext4 larger: see "Online resizing" in the kernel's ext4 documentation.
#![expect(unsafe_code, reason = "no safe wrapper has ext4's ioctl")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// `_IOW('f', 16, __u64)` of linux/ext4.h.
const EXT4_IOC_RESIZE_FS: libc::c_ulong = 0x4008_6610;

/// Grows the ext4 that `directory` lies on to this many of its blocks; a file system of that size stays as it is.
///
/// # Errors
/// On another kind of file system, when it would shrink, or without CAP_SYS_RESOURCE.
pub(crate) fn ext4(directory: &File, blocks: u64) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call; the kernel reads one u64, which lives until it returns.
    let grown =
        unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_RESIZE_FS, &raw const blocks) };
    if grown == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
