//! Control groups (version 2) of the guest: to start, freeze and kill trees of processes.
//!
//! ```text
//!   <base>/agent           the agent, when it is init
//!   <base>/renew           hooks and helpers of the agent, which run while the guest is frozen
//!   <base>/guest           what freezes
//!   <base>/guest/sshd
//!   <base>/guest/session-<n>
//! ```
//! No controller is needed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// One group, by its directory.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    directory: PathBuf,
}

/// The groups of this agent.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    base: Cgroup,
    pub(crate) guest: Cgroup,
    pub(crate) renew: Cgroup,
}

impl Cgroups {
    /// As init: the whole hierarchy is the guest's, and the agent moves out of what freezes.
    pub(crate) fn of_init() -> io::Result<Cgroups> {
        let base = Cgroup { directory: mount_point()? };
        let agent = base.child("agent")?;
        fs::write(agent.directory.join("cgroup.procs"), "0")?;
        Cgroups::beneath(base)
    }

    /// As an ordinary process: beneath the group that it was started in.
    pub(crate) fn of_service() -> io::Result<Cgroups> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let path = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .ok_or_else(|| io::Error::other("this process is in no cgroup of version 2"))?;
        let parent = Cgroup { directory: mount_point()?.join(path) };
        Cgroups::beneath(parent.child(&format!("computer-agent.{}", std::process::id()))?)
    }

    fn beneath(base: Cgroup) -> io::Result<Cgroups> {
        Ok(Cgroups { guest: base.child("guest")?, renew: base.child("renew")?, base })
    }

    /// Kills all in the groups and removes them: the end of an agent that is no init. Blocks.
    pub(crate) fn end_all(&self, deadline: Instant) -> io::Result<()> {
        for group in [&self.guest, &self.renew] {
            group.kill()?;
            group.wait_empty(deadline)?;
        }
        self.base.remove()
    }
}

/// Where version 2 is mounted.
fn mount_point() -> io::Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    table
        .lines()
        .find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let is_version_2 = after.starts_with("cgroup2 ");
            is_version_2.then(|| before.split(' ').nth(4)).flatten().map(PathBuf::from)
        })
        .ok_or_else(|| io::Error::other("cgroup version 2 is not mounted"))
}

impl Cgroup {
    /// A group in this one, made when it is not there.
    pub(crate) fn child(&self, name: &str) -> io::Result<Cgroup> {
        let directory = self.directory.join(name);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Cgroup { directory }),
        }
    }

    /// For a child that writes `0` into it and so enters.
    pub(crate) fn open_procs(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.directory.join("cgroup.procs"))
    }

    /// Kills all in it and beneath it, frozen or not. One that was removed had nobody left.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match fs::write(self.directory.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// It was told to freeze, and not to thaw since.
    pub(crate) fn is_freezing(&self) -> bool {
        fs::read_to_string(self.directory.join("cgroup.freeze"))
            .is_ok_and(|text| text.trim() == "1")
    }

    /// Asks for freezing; see [`Cgroup::wait_frozen`] for when it is done.
    pub(crate) fn start_freezing(&self) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.freeze"), "1")
    }

    pub(crate) fn thaw(&self) -> io::Result<()> {
        fs::write(self.directory.join("cgroup.freeze"), "0")
    }

    /// Waits until every process in it and beneath it stands; false at the deadline. Blocks.
    pub(crate) fn wait_frozen(&self, deadline: Instant) -> io::Result<bool> {
        self.wait_for("frozen 1", deadline)
    }

    /// Waits until no process is in it or beneath it; false at the deadline. Blocks.
    pub(crate) fn wait_empty(&self, deadline: Instant) -> io::Result<bool> {
        self.wait_for("populated 0", deadline)
    }

    fn wait_for(&self, event: &str, deadline: Instant) -> io::Result<bool> {
        let events = File::open(self.directory.join("cgroup.events"))?;
        loop {
            // A read marks what was seen, and the poll ends at any change after it.
            let mut text = [0; 256];
            let length = events.read_at(&mut text, 0)?;
            if String::from_utf8_lossy(&text[..length]).lines().any(|line| line == event) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The processes in it and beneath it.
    pub(crate) fn processes(&self) -> io::Result<Vec<i32>> {
        let text = fs::read_to_string(self.directory.join("cgroup.procs"))?;
        let mut pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        for child in self.children()? {
            pids.extend(child.processes()?);
        }
        Ok(pids)
    }

    /// Removes it with what is beneath; fails while a process is left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        if !self.directory.exists() {
            return Ok(());
        }
        for child in self.children()? {
            child.remove()?;
        }
        fs::remove_dir(&self.directory)
    }

    fn children(&self) -> io::Result<Vec<Cgroup>> {
        let mut children = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                children.push(Cgroup { directory: entry.path() });
            }
        }
        Ok(children)
    }
}
