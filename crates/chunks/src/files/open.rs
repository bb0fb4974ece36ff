//! Opening files without following a planted symlink, and making new ones that were not there
//! before.

use std::fs::File;
use std::io;

use camino::Utf8Path;
use rustix::fs::{Mode, OFlags};

/// Opens a regular file for reading; a symlink, device, socket or pipe is refused.
pub fn open_regular(path: &Utf8Path) -> io::Result<File> {
    open_checked(path, OFlags::RDONLY)
}

/// Opens a regular file for reading and writing, under the same rules as [`open_regular`].
pub(crate) fn open_regular_for_writing(path: &Utf8Path) -> io::Result<File> {
    open_checked(path, OFlags::RDWR)
}

/// Makes a new file, for reading and writing, that must not exist yet.
pub(crate) fn create_new(path: &Utf8Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path.as_str(), flags, Mode::from_raw_mode(0o600))?);
    // Through fchmod, since the umask would take bits from the mode given to open.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    Ok(file)
}

/// Gives a file to whoever this process is: root, in the daemon.
pub(crate) fn owned_by_daemon(file: &File) -> io::Result<()> {
    let (owner, group) = (rustix::process::geteuid(), rustix::process::getegid());
    Ok(rustix::fs::fchown(file, Some(owner), Some(group))?)
}

fn open_checked(path: &Utf8Path, access: OFlags) -> io::Result<File> {
    // NONBLOCK so that opening a planted pipe cannot hang; it means nothing to a regular file.
    let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path.as_str(), flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}
