//! What a child does between fork and exec: its cgroup, session, terminal, user and directory.
#![expect(unsafe_code, reason = "code between fork and exec must keep to async-signal-safe calls")]

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Gid, Uid};

/// Whom a child runs as.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
}

/// Where a child finds itself, in the order in which it gets there.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// An open `cgroup.procs`: the child is in its cgroup before it runs a line of its own.
    pub(crate) cgroup: Option<OwnedFd>,
    /// Makes standard input the controlling terminal of the new session.
    pub(crate) takes_terminal: bool,
    /// `None` keeps the agent's own user.
    pub(crate) credentials: Option<Credentials>,
    /// Entered as that user.
    pub(crate) directory: CString,
}

/// Makes `command`'s child set up its surroundings before it executes the program; an error there is the error of
/// the spawn.
pub(crate) fn surround(command: &mut Command, surroundings: Surroundings) {
    // SAFETY: the closure allocates nothing, takes no lock, and makes only raw system calls on values that were
    // prepared before the fork; errors are built from an errno alone.
    unsafe {
        command.pre_exec(move || enter(&surroundings));
    }
}

fn enter(surroundings: &Surroundings) -> io::Result<()> {
    if let Some(procs) = &surroundings.cgroup {
        rustix::io::write(procs, b"0")?;
    }
    rustix::process::setsid()?;
    if surroundings.takes_terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    if let Some(credentials) = &surroundings.credentials {
        rustix::thread::set_thread_groups(&credentials.groups)?;
        rustix::thread::set_thread_res_gid(credentials.gid, credentials.gid, credentials.gid)?;
        rustix::thread::set_thread_res_uid(credentials.uid, credentials.uid, credentials.uid)?;
    }
    rustix::process::chdir(surroundings.directory.as_c_str())?;
    Ok(())
}
