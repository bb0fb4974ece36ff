//! Where the version 2 hierarchy is mounted.

use std::fs;
use std::io;

use camino::Utf8PathBuf;

/// The mount point of the cgroup version 2 hierarchy, from `/proc/self/mountinfo`; `None` when the host has none.
pub fn unified_mount() -> io::Result<Option<Utf8PathBuf>> {
    Ok(find(&fs::read_to_string("/proc/self/mountinfo")?))
}

/// Fields as in proc_pid_mountinfo(5): mount point is the fifth, the file system type the first after `-`.
fn find(mountinfo: &str) -> Option<Utf8PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let is_unified = after.split(' ').next()? == "cgroup2";
        let point = before.split(' ').nth(4)?;
        is_unified.then(|| Utf8PathBuf::from(unescape(point)))
    })
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_beside_version_1() {
        let mountinfo = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(find(mountinfo), Some("/sys/fs/cgroup/unified".into()));
    }

    #[test]
    fn a_mount_point_with_a_blank_is_unescaped() {
        let mountinfo = "41 31 0:38 / /run/my\\040groups rw - cgroup2 none rw\n";
        assert_eq!(find(mountinfo), Some("/run/my groups".into()));
    }

    #[test]
    fn a_host_without_version_2_has_none() {
        assert_eq!(find("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }
}
