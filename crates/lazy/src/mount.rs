//! Mounting and unmounting. Nobody here ever opens a file of the mount: who does, and closes it while
//! no server is there, would wait for ever.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use camino::Utf8Path;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use tracing::debug;

/// Mounts a new file system on `at` and answers its device.
///
/// # Errors
/// When there is no FUSE here, or this process may not mount.
pub fn mount(at: &Utf8Path) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
        device.as_raw_fd()
    );
    let options = CString::new(options).map_err(io::Error::other)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("computer-lazy", at.as_std_path(), "fuse", flags, options.as_c_str())?;
    Ok(device)
}

/// Takes a mount away, whoever still uses it. None there: fine.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount(at: &Utf8Path) -> io::Result<()> {
    match rustix::mount::unmount(at.as_std_path(), UnmountFlags::DETACH) {
        // EINVAL: not a mount point.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether something is mounted on `at`, without touching it.
///
/// # Errors
/// When the mounts cannot be listed.
pub fn is_mounted(at: &Utf8Path) -> io::Result<bool> {
    Ok(device_number(&std::fs::read_to_string("/proc/self/mountinfo")?, at).is_some())
}

/// Sets how much is read ahead, and lets a guest dirty its memory as fast as on a local disk. A host
/// that does not let us is slower, and no less right.
pub fn tune(at: &Utf8Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo");
    let Some(number) = mounts.ok().and_then(|text| device_number(&text, at)) else { return };
    for (name, value) in [("read_ahead_kb", "256"), ("strict_limit", "0"), ("max_ratio", "100")] {
        let path = format!("/sys/class/bdi/{number}/{name}");
        if let Err(error) = std::fs::write(&path, value) {
            debug!(path, %error, "not set");
        }
    }
}

/// `major:minor` of what is mounted on `at`, as mountinfo has it.
fn device_number(mounts: &str, at: &Utf8Path) -> Option<String> {
    let mut lines = mounts.lines().rev();
    let line = lines.find(|line| line.split(' ').nth(4) == Some(at.as_str()))?;
    line.split(' ').nth(2).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_on_a_place_is_the_one_that_counts() {
        let mounts = "1 2 0:5 / / rw - ext4 a rw\n3 1 0:70 / /m/files rw - fuse b rw\n\
                      4 3 0:71 / /m/files rw - fuse c rw\n";
        assert_eq!(device_number(mounts, "/m/files".into()), Some("0:71".to_owned()));
        assert_eq!(device_number(mounts, "/m/file".into()), None);
    }
}
