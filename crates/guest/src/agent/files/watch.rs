//! Changes beneath a directory, as they happen.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tonic::Status;

use super::error::FileError;
use super::spool::is_temporary;
use super::walk::{Manner, Walk};
use super::workspace::{Workspace, descriptor_path};
use crate::limits;
use crate::proto::files::{Change, WatchEvent};
use crate::sys::poll;

const BUFFER_BYTES: usize = 16 * 1024;

/// A watch on a directory and all beneath it.
#[derive(Debug)]
pub(crate) struct Watcher {
    workspace: Workspace,
    top: PathBuf,
    queue: AsyncFd<OwnedFd>,
    /// Each watched directory, relative to the top.
    directories: HashMap<i32, PathBuf>,
}

/// What the kernel said.
struct Seen {
    watch: i32,
    flags: ReadFlags,
    name: Option<PathBuf>,
}

impl Watcher {
    /// Begins to watch. Directories beyond the bound are not seen into.
    pub(crate) fn begin(workspace: Workspace, top: PathBuf) -> Result<Watcher, FileError> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(FileError::io("watch", &top))?;
        let queue = poll::register(queue).map_err(FileError::io("watch", &top))?;
        let mut watcher = Watcher { workspace, top, queue, directories: HashMap::new() };
        watcher.add(Path::new(""))?;
        watcher.add_beneath(Path::new(""), &mut Vec::new())?;
        Ok(watcher)
    }

    /// Tells of changes until nobody listens.
    pub(crate) async fn run(mut self, events: mpsc::Sender<Result<WatchEvent, Status>>) {
        loop {
            let seen = tokio::select! {
                () = events.closed() => return,
                seen = self.read() => seen,
            };
            let Ok(seen) = seen else { return };
            let mut told = Vec::new();
            seen.into_iter().for_each(|seen| self.note(seen, &mut told));
            for event in told {
                if events.send(Ok(event)).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn read(&self) -> std::io::Result<Vec<Seen>> {
        loop {
            let mut ready = self.queue.readable().await?;
            let read = ready.try_io(|queue| drain(queue.get_ref()).map_err(Into::into));
            if let Ok(seen) = read {
                return seen;
            }
        }
    }

    fn note(&mut self, seen: Seen, told: &mut Vec<WatchEvent>) {
        if seen.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            told.push(event(Change::Overflowed, Path::new("")));
            return;
        }
        let Some(directory) = self.directories.get(&seen.watch).cloned() else { return };
        if seen.flags.contains(ReadFlags::IGNORED) {
            self.directories.remove(&seen.watch);
            return;
        }
        let Some(name) = seen.name else { return };
        let path = directory.join(&name);
        let created = ReadFlags::CREATE | ReadFlags::MOVED_TO;
        let change = match seen.flags {
            flags if flags.intersects(created) => Change::Created,
            flags if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) => Change::Removed,
            _ => Change::Modified,
        };
        if is_temporary(name.as_os_str()) || change == Change::Modified && self.is_unnamed(&path) {
            return;
        }
        told.push(event(change, &path));
        if change == Change::Created && seen.flags.contains(ReadFlags::ISDIR) {
            // What came into it before it was watched is told as well.
            let added = self.add(&path).and_then(|()| self.add_beneath(&path, told));
            if let Err(error) = added {
                tracing::debug!(%error, "a new directory is not watched");
            }
        }
    }

    /// Whether it is a file without a name: the kernel tells of it as `#` and its number when it is closed.
    fn is_unnamed(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(OsStr::to_str);
        let number = name.and_then(|name| name.strip_prefix('#')).unwrap_or_default();
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && self
                .workspace
                .descend(&self.top.join(path), OFlags::PATH | OFlags::NOFOLLOW)
                .is_err_and(|error| error.is_absent())
    }

    fn add(&mut self, path: &Path) -> Result<(), FileError> {
        if self.directories.len() >= limits::WATCHED_DIRECTORIES {
            return Ok(());
        }
        let directory = self
            .workspace
            .descend(&self.top.join(path), OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        let watch = inotify::add_watch(&self.queue, descriptor_path(directory.as_fd()), flags)
            .map_err(FileError::io("watch", path))?;
        self.directories.insert(watch, path.to_owned());
        Ok(())
    }

    fn add_beneath(&mut self, path: &Path, told: &mut Vec<WatchEvent>) -> Result<(), FileError> {
        let mut walk = Walk::begin(&self.workspace, &self.top.join(path), Manner::Looking)?;
        while let Some(found) = walk.next()? {
            let below = path.join(&found.path);
            if told.len() < limits::WATCHED_DIRECTORIES && !path.as_os_str().is_empty() {
                told.push(event(Change::Created, &below));
            }
            if found.is_directory() {
                self.add(&below)?;
            }
            if self.directories.len() >= limits::WATCHED_DIRECTORIES {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn drain(queue: &OwnedFd) -> Result<Vec<Seen>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut reader = inotify::Reader::new(queue, &mut buffer);
    let mut seen = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => seen.push(Seen {
                watch: event.wd(),
                flags: event.events(),
                name: event
                    .file_name()
                    .map(|name| PathBuf::from(OsStr::from_bytes(name.to_bytes()))),
            }),
            Err(Errno::AGAIN) if !seen.is_empty() => return Ok(seen),
            Err(error) => return Err(error),
        }
        if reader.is_buffer_empty() {
            return Ok(seen);
        }
    }
}

fn event(change: Change, path: &Path) -> WatchEvent {
    WatchEvent { change: change.into(), path: path.to_string_lossy().into_owned() }
}
