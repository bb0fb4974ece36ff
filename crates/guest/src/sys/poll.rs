//! Descriptors under the runtime's poll.
#![expect(unsafe_code, reason = "tokio wants a proof that the descriptor stays the same and open")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers a descriptor that does not block. Needs a runtime.
///
/// # Errors
/// For what cannot be polled, such as a regular file.
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open descriptor until it is dropped, and the AsyncFd owns it from here on and
    // takes the registration back before that.
    unsafe { AsyncFd::register(descriptor) }.map_err(|error| error.into_parts().1)
}
