//! The files of a jail, laid out before the jailer makes it the root.
//!
//! Everything lies in a small tmpfs that is mounted over a directory of the host in a mount namespace of its own. A guest that took
//! its VMM over can fill that, and no disk; and what is mounted in it cannot be moved or replaced by it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use camino::Utf8Path;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::{Gid, Uid};

use super::super::failure::{During, Failure};
use super::super::root::{bind_file, open_file};
use super::spec::JailerSpec;

/// Lays everything out, and answers the reading end of the log's pipe, which does not block.
pub(super) fn lay_out(spec: &JailerSpec) -> Result<File, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).during(|| "make all mounts private".to_owned())?;
    let sources: Vec<OwnedFd> =
        spec.files.iter().map(|file| open_file(file, spec.owner)).collect::<Result<_, _>>()?;
    tmpfs(&spec.directory, MountFlags::empty(), spec.room_bytes, 0)?;
    let root = spec.root();
    make_dir(&root)?;
    for (file, source) in spec.files.iter().zip(&sources) {
        bind_file(file, source, &root.join(&file.name))?;
    }
    for text in &spec.texts {
        let path = root.join(&text.name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.text.as_bytes()));
        written.during(|| format!("write {path}"))?;
    }
    let captured = root.join(JailerSpec::CAPTURE_DIR);
    make_dir(&captured)?;
    let closed = MountFlags::NODEV | MountFlags::NOEXEC;
    tmpfs(&captured, closed, spec.capture_bytes, spec.owner)?;
    log_pipe(&root.join(JailerSpec::LOG_PIPE), spec.owner)
}

fn tmpfs(at: &Utf8Path, flags: MountFlags, bytes: u64, owner: u32) -> Result<(), Failure> {
    let options = format!("size={bytes},nr_inodes=64,mode=0700,uid={owner},gid={owner}");
    let options = std::ffi::CString::new(options).during(|| format!("mount on {at}"))?;
    rustix::mount::mount("none", at.as_std_path(), "tmpfs", flags | MountFlags::NOSUID, &*options)
        .during(|| format!("mount a tmpfs on {at}"))
}

fn make_dir(path: &Utf8Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).during(|| format!("make {path}"))
}

/// This process holds both ends, so that there is always a reader, and no end of the file.
fn log_pipe(path: &Utf8Path, owner: u32) -> Result<File, Failure> {
    let step = || format!("make the pipe {path}");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, path.as_std_path(), FileType::Fifo, mode, 0).during(step)?;
    let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
    rustix::fs::chown(path.as_std_path(), Some(uid), Some(gid)).during(step)?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = rustix::fs::open(path.as_std_path(), flags, Mode::empty()).during(step)?;
    Ok(opened.into())
}

/// The pid that the jailer left; it is only looked for once the jailer has ended.
pub(super) fn read_pid(spec: &JailerSpec) -> Result<i32, Failure> {
    let path = spec.pid_file();
    let step = || format!("read {path}");
    let text = fs::read_to_string(&path).during(step)?;
    text.trim().parse().map_err(std::io::Error::other).during(step)
}
