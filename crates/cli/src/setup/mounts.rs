//! What is mounted where, by `/proc/self/mountinfo` (proc(5)), and which file is behind a loop device.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    /// The device or name that is mounted.
    pub(super) source: String,
}

/// What is mounted at `path` itself, if anything is.
pub(super) fn mounted_at(path: &Path) -> io::Result<Option<Mounted>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(find(&table, path))
}

/// The file behind a loop device such as `/dev/loop3`.
pub(super) fn backing_file(device: &str) -> io::Result<Option<PathBuf>> {
    let Some(name) = device.strip_prefix("/dev/").filter(|name| name.starts_with("loop")) else {
        return Ok(None);
    };
    match fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")) {
        Ok(path) => Ok(Some(PathBuf::from(path.trim_end_matches('\n')))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last mount at a place is the visible one.
fn find(table: &str, path: &Path) -> Option<Mounted> {
    table.lines().rev().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let place = before.split(' ').nth(4)?;
        let source = after.split(' ').nth(1)?;
        (Path::new(place) == path).then(|| Mounted { source: source.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 7:0 / /var/lib/computer rw,noatime shared:9 - xfs /dev/loop0 rw,attr2
41 22 7:1 / /var/lib/computer rw,noatime shared:10 master:1 - xfs /dev/loop1 rw,attr2
";

    #[test]
    fn the_last_mount_of_a_place_is_found() {
        let source = |path: &str| find(TABLE, Path::new(path)).map(|mounted| mounted.source);
        assert_eq!(source("/var/lib/computer").as_deref(), Some("/dev/loop1"));
        assert_eq!(source("/").as_deref(), Some("/dev/vda"));
        assert_eq!(source("/var/lib"), None);
    }
}
