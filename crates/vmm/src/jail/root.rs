//! The root of a jail: a small read-only tmpfs with the runtime directory, the machine's own files, and nothing else.
//!
//! ```text
//! /vmm          the runtime directory, read-only
//! /machine/*    the machine's files, each mounted by itself
//! /dev          null, and kvm where it is used
//! /lib64/...    a link from where the program expects its loader
//! ```
//! There is nothing writable but the machine's disks and memory, and no /proc, except where memory is shared: then there is one that
//! shows the processes of this jail and nothing else.

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{Gid, Uid};

use super::failure::{During, Failure, refuse};
use super::spec::{Access, BoundFile, Device, JailSpec, MACHINE_DIR, RUNTIME_DIR};

/// Where processes are shown, in the jails that have it.
const PROC_DIR: &str = "/proc";

/// Builds the root over the jail's directory, where only this mount namespace sees it, and makes it the root of this process.
pub(super) fn enter(spec: &JailSpec) -> Result<(), Failure> {
    let root = &spec.directory;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).during(|| "make all mounts private".to_owned())?;
    // Opened by path now, while the jail's directory still shows what lies beneath.
    let runtime = open_path(&spec.runtime, FileType::Directory)?;
    let sources: Vec<OwnedFd> =
        spec.files.iter().map(|file| open_file(file, spec.owner)).collect::<Result<_, _>>()?;

    tmpfs(root, MountFlags::NODEV)?;
    for name in [RUNTIME_DIR, MACHINE_DIR, "/dev"] {
        make_dirs(&within(root, name))?;
    }
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    bind(&runtime, &within(root, RUNTIME_DIR), plain | MountFlags::RDONLY)?;
    for (file, source) in spec.files.iter().zip(&sources) {
        bind_file(file, source, &within(root, MACHINE_DIR).join(&file.name))?;
    }
    if let Some(interpreter) = &spec.interpreter {
        link_interpreter(root, interpreter)?;
    }
    make_devices(&root.join("dev"), &spec.devices, spec.owner)?;
    if spec.shared_memory.is_some() {
        show_processes(&within(root, PROC_DIR))?;
    }
    remount_read_only(root, MountFlags::NODEV)?;
    pivot(root)
}

/// The /proc of this pid namespace without anything but processes, and without those that the program may not trace.
fn show_processes(at: &Utf8Path) -> Result<(), Failure> {
    make_dirs(at)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = c"subset=pid,hidepid=ptraceable";
    rustix::mount::mount("none", at.as_std_path(), "proc", flags, options)
        .during(|| format!("mount the processes of the jail on {at}"))
}

/// Opens without following links, for a mount of exactly this inode.
fn open_path(path: &Utf8Path, wanted: FileType) -> Result<OwnedFd, Failure> {
    let step = || format!("open {path}");
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path.as_std_path(), flags, Mode::empty()).during(step)?;
    let stat = rustix::fs::fstat(&opened).during(step)?;
    if FileType::from_raw_mode(stat.st_mode) != wanted {
        return Err(refuse(step(), "it is not of the expected kind, or a symbolic link"));
    }
    Ok(opened)
}

/// Mounts one of the machine's files on a new name.
pub(super) fn bind_file(
    file: &BoundFile,
    source: &OwnedFd,
    target: &Utf8Path,
) -> Result<(), Failure> {
    touch(target)?;
    let read_only = match file.access {
        Access::Read => MountFlags::RDONLY,
        Access::Write => MountFlags::empty(),
    };
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    bind(source, target, plain | read_only)
}

/// A file that the program may write must be reachable by nobody else: no other name, owner or mode (P10).
pub(super) fn open_file(file: &BoundFile, owner: u32) -> Result<OwnedFd, Failure> {
    let opened = open_path(&file.source, FileType::RegularFile)?;
    if file.access == Access::Write {
        let metadata =
            fs::metadata(descriptor_path(&opened)).during(|| format!("look at {}", file.source))?;
        let is_its_own =
            metadata.uid() == owner && metadata.nlink() == 1 && metadata.mode() & 0o077 == 0;
        if !is_its_own {
            return Err(refuse(
                format!("share {} with uid {owner}", file.source),
                "a writable file must belong to the jail's uid, have one name, and be closed to others",
            ));
        }
    }
    Ok(opened)
}

fn tmpfs(at: &Utf8Path, flags: MountFlags) -> Result<(), Failure> {
    let flags = flags | MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"size=64k,nr_inodes=128,mode=0755";
    rustix::mount::mount("none", at.as_std_path(), "tmpfs", flags, options)
        .during(|| format!("mount a tmpfs on {at}"))
}

fn remount_read_only(at: &Utf8Path, flags: MountFlags) -> Result<(), Failure> {
    let flags = flags | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount_remount(at.as_std_path(), flags, c"")
        .during(|| format!("make {at} read-only"))
}

fn bind(source: &OwnedFd, at: &Utf8Path, flags: MountFlags) -> Result<(), Failure> {
    let step = || format!("mount on {at}");
    rustix::mount::mount_bind(descriptor_path(source).as_std_path(), at.as_std_path())
        .during(step)?;
    rustix::mount::mount_remount(at.as_std_path(), MountFlags::BIND | flags, c"").during(step)
}

/// Device nodes of our own rather than the host's: their owner and mode concern this jail only.
fn make_devices(at: &Utf8Path, devices: &[Device], owner: u32) -> Result<(), Failure> {
    tmpfs(at, MountFlags::empty())?;
    for device in devices {
        let (name, major, minor, mode, owner) = match device {
            Device::Null => ("null", 1, 3, 0o666, 0),
            Device::Kvm => ("kvm", 10, 232, 0o600, owner),
        };
        let path = at.join(name);
        let step = || format!("make device {path}");
        let number = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(
            CWD,
            path.as_std_path(),
            FileType::CharacterDevice,
            Mode::from_raw_mode(mode),
            number,
        )
        .during(step)?;
        let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
        rustix::fs::chown(path.as_std_path(), Some(uid), Some(gid)).during(step)?;
    }
    remount_read_only(at, MountFlags::empty())
}

fn link_interpreter(root: &Utf8Path, interpreter: &Utf8Path) -> Result<(), Failure> {
    let link = within(root, interpreter.as_str());
    if let Some(parent) = link.parent() {
        make_dirs(parent)?;
    }
    let target = format!("{RUNTIME_DIR}/{}", super::runtime::INTERPRETER_NAME);
    symlink(target, &link).during(|| format!("link {link}"))
}

/// With both names the same directory the old root comes to lie over the new one, and is taken off again.
pub(super) fn pivot(root: &Utf8Path) -> Result<(), Failure> {
    rustix::process::chdir(root.as_std_path()).during(|| format!("change to {root}"))?;
    rustix::process::pivot_root(".", ".").during(|| "change the root".to_owned())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).during(|| "leave the old root".to_owned())?;
    rustix::process::chdir("/").during(|| "change to the new root".to_owned())
}

fn make_dirs(path: &Utf8Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).during(|| format!("make {path}"))
}

fn touch(path: &Utf8Path) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o444).open(path);
    made.map(drop).during(|| format!("make {path}"))
}

fn descriptor_path(descriptor: &OwnedFd) -> Utf8PathBuf {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd()).into()
}

/// An absolute path of the jail as it lies beneath `root` for now.
fn within(root: &Utf8Path, absolute: &str) -> Utf8PathBuf {
    root.join(absolute.trim_start_matches('/'))
}
