//! The leak audit: what carries a host's id on this machine, wherever such things are kept.

use camino::{Utf8Path, Utf8PathBuf};

use crate::program::run;

/// Looks for what one host has left.
#[derive(Debug)]
pub struct Audit {
    root: Utf8PathBuf,
    host_id: String,
}

impl Audit {
    /// An audit of the host with this root and id.
    pub fn new(root: &Utf8Path, host_id: &str) -> Self {
        Self { root: root.to_owned(), host_id: host_id.to_owned() }
    }

    /// Everything that a host without machines and snapshots should not have, in words.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.files().into_iter().map(|path| format!("file {path}")));
        left.extend(self.namespaces().into_iter().map(|name| format!("namespace {name}")));
        left.extend(self.interfaces().into_iter().map(|name| format!("interface {name}")));
        left.extend(self.tables().into_iter().map(|name| format!("nft table {name}")));
        left.extend(self.mounts().into_iter().map(|path| format!("mount {path}")));
        left.extend(self.cgroups().into_iter().map(|path| format!("cgroup {path}")));
        left.extend(self.processes().into_iter().map(|pid| format!("process {pid}")));
        left
    }

    /// Names of slots begin like this.
    fn prefix(&self) -> String {
        format!("c{}-", &self.host_id[..self.host_id.len().min(5)])
    }

    fn files(&self) -> Vec<Utf8PathBuf> {
        ["machines", "snapshots", "scratch", "volumes"]
            .iter()
            .flat_map(|name| names(&self.root.join(name)))
            .collect()
    }

    fn namespaces(&self) -> Vec<String> {
        let prefix = self.prefix();
        let all = names(Utf8Path::new("/run/netns")).into_iter();
        all.filter_map(|path| path.file_name().map(str::to_owned))
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }

    fn interfaces(&self) -> Vec<String> {
        let prefix = self.prefix();
        let all = names(Utf8Path::new("/sys/class/net")).into_iter();
        all.filter_map(|path| path.file_name().map(str::to_owned))
            .filter(|name| name.starts_with(&prefix))
            .collect()
    }

    fn tables(&self) -> Vec<String> {
        let tables = run("nft", &["list", "tables"]).unwrap_or_default();
        tables.lines().filter(|line| line.contains(&self.host_id)).map(str::to_owned).collect()
    }

    /// Mounts beneath the root, in this mount namespace.
    fn mounts(&self) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(1));
        let beneath = |point: &&str| point.starts_with(&format!("{}/", self.root));
        points.filter(beneath).map(str::to_owned).collect()
    }

    fn cgroups(&self) -> Vec<Utf8PathBuf> {
        let wanted = format!("computer-{}", self.host_id);
        let bases = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let dirs = bases.iter().map(|base| Utf8Path::new(base).join(&wanted));
        dirs.filter(|dir| dir.is_dir()).collect()
    }

    /// Processes in the host's cgroups, or with its root on their command line.
    fn processes(&self) -> Vec<u32> {
        let processes = names(Utf8Path::new("/proc"));
        let pids = processes.iter().filter_map(|path| path.file_name()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != std::process::id() && self.is_of_this_host(*pid)).collect()
    }

    fn is_of_this_host(&self, pid: u32) -> bool {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let cgroup = String::from_utf8_lossy(&read("cgroup")).into_owned();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        // It has ended, and waits for init to notice.
        if String::from_utf8_lossy(&read("status")).contains("State:\tZ") {
            return false;
        }
        cgroup.contains(&format!("computer-{}", self.host_id))
            || line.split('\0').any(|word| word == self.root)
    }

    /// After a test that failed: ends and removes all of it, by name, so that the next test starts clean.
    pub fn end_everything(&self) {
        for group in self.cgroups() {
            for path in beneath(&group) {
                best_effort(std::fs::write(path.join("cgroup.kill"), "1"), &path);
            }
        }
        for pid in self.processes() {
            let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) else { continue };
            let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            best_effort(killed.map_err(Into::into), &self.root);
        }
        for name in self.namespaces() {
            best_effort(tool("ip", &["netns", "delete", &name]), Utf8Path::new(&name));
        }
        for name in self.interfaces() {
            let deleted = tool("ip", &["link", "delete", &name]);
            // Its namespace, on the way out, may have taken it along.
            if Utf8Path::new("/sys/class/net").join(&name).exists() {
                best_effort(deleted, Utf8Path::new(&name));
            }
        }
        for table in self.tables() {
            let words: Vec<&str> =
                std::iter::once("delete").chain(table.split_whitespace()).collect();
            best_effort(tool("nft", &words), Utf8Path::new(&table));
        }
        for group in self.cgroups() {
            for path in beneath(&group) {
                best_effort(remove_group(&path), &path);
            }
        }
    }
}

/// A cgroup whose processes were just killed is busy for a moment.
fn remove_group(path: &Utf8Path) -> std::io::Result<()> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        match std::fs::remove_dir(path) {
            Err(error)
                if error.kind() == std::io::ErrorKind::ResourceBusy
                    && std::time::Instant::now() < end =>
            {
                std::thread::yield_now();
            }
            other => return other,
        }
    }
}

/// The directories of a cgroup, the deepest first.
fn beneath(group: &Utf8Path) -> Vec<Utf8PathBuf> {
    let children = names(group).into_iter().filter(|path| path.is_dir());
    let mut all: Vec<Utf8PathBuf> = children.flat_map(|child| beneath(&child)).collect();
    all.push(group.to_owned());
    all
}

fn names(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.into_path())).collect()
}

fn tool(program: &str, arguments: &[&str]) -> std::io::Result<()> {
    run(program, arguments).map(drop).map_err(|error| std::io::Error::other(error.chain()))
}

fn best_effort(result: std::io::Result<()>, what: &Utf8Path) {
    if let Err(error) = result {
        eprintln!("harness: cleaning up {what}: {error}");
    }
}
