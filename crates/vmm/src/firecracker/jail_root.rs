//! What lies in a jail, as the host reaches it: through the root of the process that lives there.
//!
//! The VMM owns that directory and may put anything in place of what was there. So nothing in it is reached by way of a link, and
//! what is found is looked at before it is used.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use camino::Utf8PathBuf;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cgroup::Cgroup;

/// The root directory of a jail, held open: it stays the same one even when the process has ended and its pid is another's.
#[derive(Debug)]
pub struct JailRoot {
    directory: OwnedFd,
}

/// A socket that was found and looked at.
#[derive(Debug)]
pub struct FoundSocket {
    descriptor: OwnedFd,
}

impl FoundSocket {
    /// A path to exactly this socket; valid while this value lives.
    pub fn path(&self) -> Utf8PathBuf {
        format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()).into()
    }
}

impl JailRoot {
    /// The root of the process that is first in a pid namespace of its own, inside this control group; `None` when there is none.
    pub fn find(cgroup: &Cgroup) -> io::Result<Option<Self>> {
        for pid in cgroup.processes().map_err(io::Error::other)? {
            if is_first_inside(pid)?
                && let Some(root) = Self::of(pid, cgroup)?
            {
                return Ok(Some(root));
            }
        }
        Ok(None)
    }

    /// Opened first and checked after: a process that still lives is the one whose root was opened.
    fn of(pid: u32, cgroup: &Cgroup) -> io::Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let process = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        let has_ended = poll(&mut ended, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let is_inside = cgroup.processes().map_err(io::Error::other)?.contains(&pid);
        Ok((has_ended == 0 && is_inside).then_some(Self { directory }))
    }

    /// A path to the directory; valid while this value lives.
    pub fn path(&self) -> Utf8PathBuf {
        format!("/proc/self/fd/{}", self.directory.as_raw_fd()).into()
    }

    /// The socket of this name at the top of the jail.
    ///
    /// # Errors
    /// When there is none, or something else of that name.
    pub fn socket(&self, name: &str) -> io::Result<FoundSocket> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        expect(&descriptor, FileType::Socket, name)?;
        Ok(FoundSocket { descriptor })
    }

    /// Opens the regular file at this path for reading.
    ///
    /// # Errors
    /// When there is none, or something else.
    pub fn open(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat2(
            &self.directory,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )?;
        expect(&opened, FileType::RegularFile, path)?;
        Ok(opened.into())
    }

    /// Removes a file from a directory of the jail. Absent is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, directory: &str, name: &str) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.directory, directory, flags, Mode::empty())?;
        match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn expect(descriptor: impl AsFd, wanted: FileType, name: &str) -> io::Result<()> {
    let stat = rustix::fs::fstat(descriptor)?;
    if FileType::from_raw_mode(stat.st_mode) == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("{name} in the jail is no {wanted:?}")))
}

/// Whether a process is number 1 of a pid namespace below this one.
fn is_first_inside(pid: u32) -> io::Result<bool> {
    let status = match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
        Err(error) => return Err(error),
    };
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let mut numbers = numbers.unwrap_or_default().split_ascii_whitespace();
    Ok(numbers.next().is_some() && numbers.last() == Some("1"))
}
