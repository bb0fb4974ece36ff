//! The one call that has no safe wrapper.
#![expect(unsafe_code, reason = "unshare has no safe wrapper")]

use std::io;

use rustix::thread::UnshareFlags;

/// Leaves the shared namespaces of this process.
pub(super) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    assert!(!namespaces.contains(UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: the descriptor table is not unshared, checked above; every other namespace is safe to leave.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }.map_err(io::Error::from)
}
