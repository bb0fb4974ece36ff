//! Descriptors that do not block: pipes, terminals, virtio-serial ports.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sys::poll;

/// A descriptor under the runtime's poll.
#[derive(Debug)]
pub(crate) struct Nonblocking {
    descriptor: AsyncFd<OwnedFd>,
}

impl Nonblocking {
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Nonblocking> {
        let flags = fcntl_getfl(&descriptor)?;
        fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        Ok(Nonblocking { descriptor: poll::register(descriptor)? })
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        self.descriptor.get_ref()
    }

    /// What can be read now; `WouldBlock` when nothing can.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(self.descriptor(), &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Waits until there may be something to read again, after a `WouldBlock`.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        loop {
            let mut guard = self.descriptor.readable().await?;
            // The readiness may be an old one: only what poll says now counts.
            match guard.try_io(|inner| has_input(inner.get_ref())) {
                Ok(outcome) => return outcome,
                Err(_would_block) => {}
            }
        }
    }

    /// Writes some of the data, waiting for room.
    pub(crate) async fn write(&self, data: &[u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.descriptor.writable().await?;
            match guard.try_io(|inner| Ok(rustix::io::write(inner.get_ref(), data)?)) {
                Ok(outcome) => return outcome,
                Err(_would_block) => {}
            }
        }
    }
}

fn has_input(descriptor: &OwnedFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut wanted = [PollFd::new(descriptor, PollFlags::IN)];
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut wanted, Some(&no_time))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl AsyncRead for Nonblocking {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.descriptor.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match guard.try_io(|inner| Ok(rustix::io::read(inner.get_ref(), space)?)) {
                Ok(Ok(length)) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Nonblocking {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.descriptor.poll_write_ready(context))?;
            match guard.try_io(|inner| Ok(rustix::io::write(inner.get_ref(), data)?)) {
                Ok(outcome) => return Poll::Ready(outcome),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
