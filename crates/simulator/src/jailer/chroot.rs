//! The directory that becomes the root.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, chown};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount,
};

use super::super::answer::with;
use super::arguments::Arguments;

/// Devices that the jailer makes: path, major and minor number.
const DEVICES: [(&str, u32, u32); 3] =
    [("/dev/kvm", 10, 232), ("/dev/net/tun", 10, 200), ("/dev/urandom", 1, 9)];
/// Where the host's root is for a moment.
const OLD_ROOT: &str = "old_root";

/// `<base>/<program>/<id>/root`, with a copy of the program in it that the machine's uid owns.
pub(super) fn lay_out(arguments: &Arguments) -> Result<Utf8PathBuf, String> {
    let name = arguments.program_name()?;
    let root = arguments.chroot_base.join(name).join(&arguments.id).join("root");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&root)
        .map_err(with(format!("make {root}")))?;
    let copy = root.join(name);
    fs::copy(&arguments.exec_file, &copy)
        .map_err(with(format!("copy {} to {copy}", arguments.exec_file)))?;
    for path in [&root, &copy] {
        chown(path, Some(arguments.uid), Some(arguments.gid))
            .map_err(with(format!("give {path} away")))?;
    }
    Ok(root)
}

/// Makes `root` the root of this process, which has a mount namespace of its own, and lets go of the host's.
pub(super) fn enter(root: &Utf8Path) -> Result<(), String> {
    let failed =
        |action: &'static str| move |error: rustix::io::Errno| format!("{action}: {error}");
    let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", private).map_err(failed("make all mounts downstream"))?;
    mount_bind_recursive(root.as_std_path(), root.as_std_path())
        .map_err(failed("make a mount of the root"))?;
    std::env::set_current_dir(root).map_err(with(format!("enter {root}")))?;
    fs::create_dir(OLD_ROOT).map_err(with("make the place of the old root"))?;
    rustix::process::pivot_root(".", OLD_ROOT).map_err(failed("change the root"))?;
    std::env::set_current_dir("/").map_err(with("enter the new root"))?;
    unmount(OLD_ROOT, UnmountFlags::DETACH).map_err(failed("let go of the old root"))?;
    fs::remove_dir(OLD_ROOT).map_err(with("remove the place of the old root"))
}

/// Devices and `/run`, which the machine's uid owns.
pub(super) fn make_devices(uid: u32, gid: u32) -> Result<(), String> {
    for path in ["/dev", "/dev/net", "/run"] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(with(format!("make {path}")))?;
        chown(path, Some(uid), Some(gid)).map_err(with(format!("give {path} away")))?;
    }
    for (path, major, minor) in DEVICES {
        let (kind, mode) = (FileType::CharacterDevice, Mode::RUSR | Mode::WUSR);
        mknodat(CWD, path, kind, mode, makedev(major, minor))
            .map_err(|error| format!("make {path}: {error}"))?;
        chown(path, Some(uid), Some(gid)).map_err(with(format!("give {path} away")))?;
    }
    Ok(())
}
