//! Descriptor numbers: what has no safe wrapper.
#![expect(unsafe_code, reason = "descriptors handed over by number, and one replaced by another")]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The descriptors that a supervisor hands to a server, which lie from `first` on without a gap.
/// Called once, at the very start of the server.
///
/// # Errors
/// When one of them is not open.
pub(crate) fn take(first: RawFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    let numbers = (first..).take(count);
    numbers
        .map(|number| {
            // SAFETY: F_GETFD touches no memory and is answered with an error for a closed number.
            if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the number is open, checked above, and the caller has opened nothing itself yet,
            // so no safe value stands for it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
            Ok(descriptor)
        })
        .collect()
}

/// Makes `descriptor` stand for what `by` stands for.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn replace(descriptor: BorrowedFd<'_>, by: &OwnedFd) -> io::Result<()> {
    // SAFETY: the number stays open and owned by whom it was borrowed from; it is not closed here, and
    // dup3 replaces what it stands for in one step.
    let mut number = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor.as_raw_fd()) });
    Ok(rustix::io::dup3(by, &mut number, rustix::io::DupFlags::CLOEXEC)?)
}
