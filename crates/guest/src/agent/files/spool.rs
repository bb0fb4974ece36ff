//! A file that has no name until it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::workspace::{Place, descriptor_path};

/// How every temporary name begins.
const PREFIX: &str = ".computer-";

/// Data on its way into a directory; dropped before [`Spool::publish`] it leaves nothing, even when the guest ends meanwhile, where the
/// file system has files without names.
#[derive(Debug)]
pub(super) struct Spool<'a> {
    pub(super) file: File,
    place: &'a Place<'a>,
    /// The name that it has all the same, where a file system (such as a mounted bucket) has no files without one.
    temporary: Option<OsString>,
}

impl<'a> Spool<'a> {
    /// Begins a file for this place.
    pub(super) fn begin(place: &'a Place<'a>) -> Result<Spool<'a>, Errno> {
        let (access, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
        match rustix::fs::openat(&place.parent, ".", access | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(Spool { file: file.into(), place, temporary: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                let name = temporary_name();
                let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let file = rustix::fs::openat(&place.parent, &name, flags, mode)?;
                Ok(Spool { file: file.into(), place, temporary: Some(name) })
            }
            Err(error) => Err(error),
        }
    }

    /// Puts it in its place, over what is there.
    pub(super) fn publish(mut self) -> Result<(), Errno> {
        let name = match self.temporary.take() {
            Some(name) => name,
            None => link(self.file.as_fd(), self.place.parent.as_fd())?,
        };
        // From here on the name is taken away again when it fails.
        self.temporary = Some(name);
        let name = self.temporary.as_deref().unwrap_or_default();
        rustix::fs::renameat(&self.place.parent, name, &self.place.parent, self.place.name)?;
        self.temporary = None;
        Ok(())
    }
}

fn link(file: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> Result<OsString, Errno> {
    let name = temporary_name();
    rustix::fs::linkat(CWD, descriptor_path(file), parent, &name, AtFlags::SYMLINK_FOLLOW)?;
    Ok(name)
}

/// Of no other request of this agent, and of no earlier agent that left one.
pub(super) fn temporary_name() -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let moment = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    OsStr::new(&format!("{PREFIX}{moment:x}-{count:x}")).to_owned()
}

/// Whether a name is one of those: nobody outside of this agent has to know of it.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    rest.and_then(|rest| rest.split_once('-'))
        .is_some_and(|(moment, count)| is_number(moment) && is_number(count))
}

impl Write for Spool<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Spool<'_> {
    fn drop(&mut self) {
        let Some(name) = &self.temporary else { return };
        if let Err(error) = rustix::fs::unlinkat(&self.place.parent, name, AtFlags::empty()) {
            tracing::warn!(%error, "left a temporary file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_told_from_those_of_others() {
        assert!(is_temporary(&temporary_name()));
        for other in [
            ".computer-",
            ".computer-a",
            ".computer-a-",
            ".computer-x-1",
            "a-1",
            ".computer-1-2.txt",
        ] {
            assert!(!is_temporary(OsStr::new(other)), "{other}");
        }
    }
}
