//! Names beneath the workspace. Every one is resolved whole by the kernel with `openat2`, which refuses what leads out: `..`,
//! an absolute link, and a link that is planted while it resolves.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::error::FileError;
use crate::agent::atomic_file::Owner;
use crate::agent::places::Places;
use crate::agent::users::User;
use crate::limits;

const DIRECTORY_MODE: u32 = 0o755;
/// How often a resolution that raced with a rename is tried again.
const RACES: usize = 16;

/// The workspace, opened for one call.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: OwnedFd,
    /// Whose everything is that is made here.
    owner: Option<Owner>,
}

/// A name in a directory that is open.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) parent: OwnedFd,
    pub(super) name: &'a OsStr,
}

impl Workspace {
    /// Opens it, and makes it where it is missing. A workspace that is a link itself, or lies behind one, is refused.
    pub(crate) fn open(places: &Places, login_user: &str) -> Result<Workspace, FileError> {
        let owner = owner(places, login_user);
        let base_path = places.path("/");
        let base = rustix::fs::open(
            &base_path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(FileError::io("open", &base_path))?;
        let path = places.workspace();
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let root = match resolve(base.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY, strict) {
            Err(Errno::NOENT) => {
                let whole = Workspace { root: base, owner };
                whole.make_directories(path)?;
                resolve(whole.root.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY, strict)
            }
            opened => opened,
        };
        Ok(Workspace { root: root.map_err(FileError::resolve(path))?, owner })
    }

    /// All of the guest's files instead, for what is no caller's business.
    pub(crate) fn whole(places: &Places, login_user: &str) -> Result<Workspace, FileError> {
        let base_path = places.path("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&base_path, flags, Mode::empty())
            .map_err(FileError::io("open", &base_path))?;
        Ok(Workspace { root, owner: owner(places, login_user) })
    }

    /// Makes a directory where none is; where it is once links are followed, relative to the root.
    pub(crate) fn make_target(&self, path: &Path) -> Result<PathBuf, FileError> {
        self.make_directories(path)?;
        self.followed(path)
    }

    /// Whose everything is that is made here.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Opens what a path leads to, links followed as long as they stay inside.
    pub(super) fn descend(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, FileError> {
        if path.as_os_str().len() > limits::PATH_BYTES {
            return Err(FileError::Invalid("the path is too long"));
        }
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(FileError::Invalid("a NUL in the path"));
        }
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        resolve(self.root.as_fd(), path, flags, ResolveFlags::BENEATH)
            .map_err(FileError::resolve(path))
    }

    /// The directory that an entry is in, and the entry's name in it. The workspace itself is no entry.
    pub(super) fn place<'a>(&self, path: &'a Path) -> Result<Place<'a>, FileError> {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(FileError::Invalid("the workspace itself cannot be replaced or removed"));
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        let parent = self.descend(parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Place { parent, name })
    }

    /// The same, with the directories above made where they are missing.
    pub(super) fn place_with_parents<'a>(&self, path: &'a Path) -> Result<Place<'a>, FileError> {
        match self.place(path) {
            Err(error) if error.is_absent() => {
                self.make_directories(path.parent().unwrap_or(Path::new("")))?;
                self.place(path)
            }
            outcome => outcome,
        }
    }

    /// Makes a directory and those above it; what is there stays as it is.
    pub(super) fn make_directories(&self, path: &Path) -> Result<(), FileError> {
        let prefixes: Vec<&Path> =
            path.ancestors().filter(|prefix| !prefix.as_os_str().is_empty()).collect();
        for prefix in prefixes.into_iter().rev() {
            match self.descend(prefix, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(_there) => {}
                Err(error) if error.is_absent() => self.make_one(prefix, DIRECTORY_MODE)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes one directory with this mode. One that another request made meanwhile is fine.
    pub(super) fn make_one(&self, path: &Path, mode: u32) -> Result<(), FileError> {
        let place = self.place(path)?;
        match rustix::fs::mkdirat(&place.parent, place.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return self.descend(path, OFlags::PATH | OFlags::DIRECTORY).map(drop);
            }
            Err(error) => return Err(FileError::io("make directory", path)(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&place.parent, place.name, flags, Mode::empty())
            .map_err(FileError::io("open", path))?;
        self.give(&made, path)?;
        rustix::fs::fchmod(&made, Mode::from_raw_mode(mode & 0o7777))
            .map_err(FileError::io("set the mode of", path))
    }

    /// Gives what is open to the workspace's owner.
    pub(super) fn give(&self, file: impl AsFd, path: &Path) -> Result<(), FileError> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(FileError::io("set the owner of", path))
    }

    /// Gives an entry, itself and not what it links to, to the workspace's owner.
    pub(super) fn give_entry(&self, place: &Place<'_>, path: &Path) -> Result<(), FileError> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&place.parent, place.name, Some(uid), Some(gid), flags)
            .map_err(FileError::io("set the owner of", path))
    }

    /// Where a path leads once its links are followed, as a path beneath the workspace that has none.
    pub(super) fn followed(&self, path: &Path) -> Result<PathBuf, FileError> {
        let file = self.descend(path, OFlags::PATH)?;
        let (root, end) = (place_of(self.root.as_fd(), path)?, place_of(file.as_fd(), path)?);
        end.strip_prefix(&root)
            .map(Path::to_owned)
            .map_err(|_other| FileError::Outside(path.to_owned()))
    }
}

/// None where there is no such user, or the agent is that user.
fn owner(places: &Places, login_user: &str) -> Option<Owner> {
    let user = User::find(places, login_user).ok()?;
    user.credentials().map(|_changed| (user.uid, user.gid))
}

/// A path to what is open, by the kernel's own directory of descriptors.
pub(super) fn descriptor_path(file: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn place_of(file: BorrowedFd<'_>, path: &Path) -> Result<PathBuf, FileError> {
    std::fs::read_link(descriptor_path(file)).map_err(FileError::io("find", path))
}

fn resolve(
    base: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    how: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let how = how | ResolveFlags::NO_MAGICLINKS;
    let mut last = Errno::AGAIN;
    for _ in 0..RACES {
        match rustix::fs::openat2(base, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
            outcome => return outcome,
        }
    }
    Err(last)
}
