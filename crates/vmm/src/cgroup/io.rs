//! What one run of a machine may do to the disks of the host, where the `io` controller is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;
use rustix::fs::{major, minor};

use super::group::{CgroupError, write_control};

/// Bounds of reading and of writing, each. What is absent is as fast as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoLimits {
    /// Bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Operations a second.
    pub operations_per_second: Option<u64>,
}

/// Where the kernel tells of block devices by their numbers.
const BLOCK_DEVICES: &str = "/sys/dev/block";

impl IoLimits {
    /// Bounds the group's use of the disk below `path`. False where nothing bounds it: there is no limit, no controller, or no one disk.
    pub(super) fn apply(&self, group: &Utf8Path, path: &Utf8Path) -> Result<bool, CgroupError> {
        let control = group.join("io.max");
        if *self == Self::default() || !control.exists() {
            return Ok(false);
        }
        let failed = |source| CgroupError::Read { path: path.to_owned(), source };
        let device = path.metadata().map_err(failed)?.dev();
        let Some(disk) = whole_disk(Utf8Path::new(BLOCK_DEVICES), device).map_err(failed)? else {
            return Ok(false);
        };
        write_control(&control, &self.line(&disk)).map(|()| true)
    }

    fn line(&self, disk: &str) -> String {
        let mut line = disk.to_owned();
        for (names, bound) in [
            (["rbps", "wbps"], self.bytes_per_second),
            (["riops", "wiops"], self.operations_per_second),
        ] {
            let Some(bound) = bound else { continue };
            line.extend(names.map(|name| format!(" {name}={bound}")));
        }
        line
    }
}

/// The disk that a device number belongs to, as `major:minor`: only whole disks have limits. `None` for file systems that have no one disk.
fn whole_disk(devices: &Utf8Path, device: u64) -> io::Result<Option<String>> {
    let known = devices.join(format!("{}:{}", major(device), minor(device)));
    let known = match known.canonicalize_utf8() {
        Ok(known) => known,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let disk = if known.join("partition").exists() { known.parent() } else { Some(&*known) };
    let numbers = disk.map(|disk| fs::read_to_string(disk.join("dev"))).transpose()?;
    Ok(numbers.map(|numbers| numbers.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_partition_is_bounded_by_its_disk_and_a_file_system_without_a_disk_by_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let devices = Utf8Path::from_path(temporary.path()).unwrap();
        let disk = devices.join("real/sda");
        fs::create_dir_all(disk.join("sda1")).unwrap();
        fs::write(disk.join("dev"), "8:0\n").unwrap();
        fs::write(disk.join("sda1/dev"), "8:1\n").unwrap();
        fs::write(disk.join("sda1/partition"), "1\n").unwrap();
        symlink(&disk, devices.join("8:0")).unwrap();
        symlink(disk.join("sda1"), devices.join("8:1")).unwrap();
        let disk_of = |minor| whole_disk(devices, rustix::fs::makedev(8, minor)).unwrap();

        assert_eq!(disk_of(0).as_deref(), Some("8:0"));
        assert_eq!(disk_of(1).as_deref(), Some("8:0"));
        assert_eq!(disk_of(2), None);
    }

    #[test]
    fn a_group_with_the_controller_is_told_of_both_bounds_and_one_without_of_none() {
        let temporary = tempfile::tempdir().unwrap();
        let group = Utf8Path::from_path(temporary.path()).unwrap();
        let limits = IoLimits { bytes_per_second: Some(1000), operations_per_second: Some(50) };
        assert!(!limits.apply(group, group).unwrap(), "there is no controller");

        fs::write(group.join("io.max"), "").unwrap();
        assert!(!IoLimits::default().apply(group, group).unwrap(), "there is no limit");
        assert_eq!(limits.line("8:0"), "8:0 rbps=1000 wbps=1000 riops=50 wiops=50");
        if limits.apply(group, group).unwrap() {
            let told = fs::read_to_string(group.join("io.max")).unwrap();
            assert!(told.ends_with(" rbps=1000 wbps=1000 riops=50 wiops=50"), "{told}");
        } else {
            println!("skipped: the temporary directory lies on no one disk");
        }
    }
}
