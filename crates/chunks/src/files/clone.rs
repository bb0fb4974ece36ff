//! A new inode with the bytes of another: by reflink where the file system can, else by a sparse
//! copy.

use std::fs::File;
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tracing::warn;

use super::copy::copy_sparse;
use super::open::{create_new, open_regular};

/// How a file may be cloned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloneMode {
    /// Share the blocks in constant time, or fail: never a copy by surprise.
    Reflink,
    /// Copy the data extents. A file system may still share blocks beneath a copy; the inode is new
    /// in any case.
    Copy,
    /// Reflink if the file system can, else copy.
    Auto,
}

/// What [`clone_file`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloned {
    /// The new file shares its blocks with the old one.
    Reflinked,
    /// Data was copied; holes were not.
    Copied {
        /// How much.
        bytes: u64,
    },
}

/// A file that was not cloned. Nothing is left under the new name.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// These files cannot share blocks: another file system, or one without reflinks.
    #[error("{from} cannot be reflinked to {to} here")]
    NotReflinkable {
        /// The source.
        from: Utf8PathBuf,
        /// The name of the clone.
        to: Utf8PathBuf,
        /// What FICLONE answered.
        source: io::Error,
    },
    /// There is something under the new name already; it was left alone.
    #[error("{to} exists already")]
    Exists {
        /// The name of the clone.
        to: Utf8PathBuf,
    },
    /// The operating system refused.
    #[error("{operation} to clone {from} to {to}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The source.
        from: Utf8PathBuf,
        /// The name of the clone.
        to: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Makes `to`, a new inode with permission bits `mode`, hold what `from` holds, its holes too.
///
/// Not synced: the caller syncs after the pause that this is often called in. The clone belongs to
/// this process's user.
pub fn clone_file(
    from: &Utf8Path,
    to: &Utf8Path,
    how: CloneMode,
    mode: u32,
) -> Result<Cloned, CloneError> {
    let error = |operation| {
        move |source| CloneError::Io { operation, from: from.to_owned(), to: to.to_owned(), source }
    };
    let source = open_regular(from).map_err(error("open source"))?;
    let target = create_new(to, mode).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CloneError::Exists { to: to.to_owned() },
        _ => error("create target")(source),
    })?;
    let outcome = fill(&source, &target, how).map_err(|failure| match failure {
        Failure::NotReflinkable(errno) => CloneError::NotReflinkable {
            from: from.to_owned(),
            to: to.to_owned(),
            source: errno.into(),
        },
        Failure::Reflink(source) => error("reflink")(source),
        Failure::Copy(source) => error("copy")(source),
    });
    if outcome.is_err()
        && let Err(error) = std::fs::remove_file(to)
    {
        warn!(%to, %error, "a clone that failed could not be removed");
    }
    outcome
}

enum Failure {
    NotReflinkable(Errno),
    Reflink(io::Error),
    Copy(io::Error),
}

fn fill(source: &File, target: &File, how: CloneMode) -> Result<Cloned, Failure> {
    let copy =
        || copy_sparse(source, target).map(|bytes| Cloned::Copied { bytes }).map_err(Failure::Copy);
    match how {
        CloneMode::Copy => copy(),
        CloneMode::Reflink => reflink(source, target),
        CloneMode::Auto => match reflink(source, target) {
            Err(Failure::NotReflinkable(_)) => copy(),
            other => other,
        },
    }
}

fn reflink(source: &File, target: &File) -> Result<Cloned, Failure> {
    match rustix::fs::ioctl_ficlone(target, source) {
        Ok(()) => Ok(Cloned::Reflinked),
        Err(
            errno @ (Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::INVAL | Errno::NOSYS),
        ) => Err(Failure::NotReflinkable(errno)),
        Err(errno) => Err(Failure::Reflink(errno.into())),
    }
}

/// Whether files in this directory can be reflinked, tried with two files that have no name and so
/// leave nothing.
pub fn supports_reflink(directory: &Utf8Path) -> io::Result<bool> {
    let unnamed = || -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(directory.as_str(), flags, Mode::from_raw_mode(0o600))?))
    };
    let mut source = match unnamed() {
        Ok(file) => file,
        // Every file system with reflinks has O_TMPFILE.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    source.write_all(&[1; 4096])?;
    match reflink(&source, &unnamed()?) {
        Ok(_) => Ok(true),
        Err(Failure::NotReflinkable(_)) => Ok(false),
        Err(Failure::Reflink(error) | Failure::Copy(error)) => Err(error),
    }
}
