//! The file systems of a running Linux, where the initramfs has not mounted them already.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_remount};

struct Entry {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    data: &'static CStr,
}

const NO_PROGRAMS: MountFlags =
    MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// In the order in which they nest; /proc is first, since it tells what is mounted.
const ENTRIES: [Entry; 8] = [
    Entry { kind: "proc", target: "/proc", flags: NO_PROGRAMS, data: c"" },
    Entry { kind: "sysfs", target: "/sys", flags: NO_PROGRAMS, data: c"" },
    Entry { kind: "devtmpfs", target: "/dev", flags: MountFlags::NOSUID, data: c"mode=0755" },
    Entry {
        kind: "devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        data: c"gid=5,mode=0620,ptmxmode=0666",
    },
    Entry {
        kind: "tmpfs",
        target: "/dev/shm",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        data: c"mode=1777",
    },
    Entry {
        kind: "tmpfs",
        target: "/run",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        data: c"mode=0755",
    },
    Entry {
        kind: "tmpfs",
        target: "/tmp",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        data: c"mode=1777",
    },
    Entry { kind: "cgroup2", target: "/sys/fs/cgroup", flags: NO_PROGRAMS, data: c"" },
];

/// What programs expect in /dev beside the devices.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Mounts what is missing and makes the root writable; says what failed, and goes on.
pub(super) fn mount_all() {
    if let Err(error) = mount_remount("/", MountFlags::NOATIME, c"") {
        tracing::warn!(%error, "could not make the root writable");
    }
    for entry in &ENTRIES {
        if mounted().contains(entry.target) {
            continue;
        }
        if let Err(error) = mount_one(entry) {
            tracing::warn!(%error, target = entry.target, "could not mount");
        }
    }
    for (original, link) in LINKS {
        match symlink(original, link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                tracing::warn!(%error, link, "could not make a link");
            }
            _ => {}
        }
    }
}

fn mount_one(entry: &Entry) -> io::Result<()> {
    if !Path::new(entry.target).is_dir() {
        fs::create_dir_all(entry.target)?;
    }
    mount(entry.kind, entry.target, entry.kind, entry.flags, entry.data)?;
    Ok(())
}

/// Empty before /proc is there.
fn mounted() -> HashSet<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}
