//! Named network namespaces, made and removed the way `ip netns` does, so that an operator sees them with `ip netns list`.
//!
//! A namespace belongs to a thread, and a thread of tokio's pools that entered one would carry every later task of its
//! pool into it. So whatever happens inside a namespace happens on a thread made for it, which ends with the work.

use std::{fs::File, io, os::fd::AsFd, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use tokio::runtime::Runtime;

use super::{error::NetworkError, sys};

/// Where `ip netns` keeps its namespaces.
const DIRECTORY: &str = "/run/netns";

/// Magic number of nsfs, the file system behind `/proc/<pid>/ns` (linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// How long work on a namespace thread may take before its caller stops waiting for it.
pub(super) const THREAD_DEADLINE: Duration = Duration::from_secs(20);

/// Two seconds in all for a lock that is held for microseconds.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Runs `work` on a thread of its own, which may change its namespaces as it likes, with a runtime for its waits.
///
/// The thread is born in the network namespace of the caller. `work` bounds its own waits; when it is still not done
/// after [`THREAD_DEADLINE`], the caller gets an error and the thread ends by itself.
pub(super) async fn on_own_thread<T, F>(namespace: &str, work: F) -> Result<T, NetworkError>
where
    T: Send + 'static,
    F: FnOnce(&Runtime) -> Result<T, NetworkError> + Send + 'static,
{
    let subject = namespace.to_owned();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name(format!("in {namespace}"))
        .spawn(move || {
            let result = runtime(&subject).and_then(|runtime| work(&runtime));
            // A caller that has gone wants no answer.
            drop(sender.send(result));
        })
        .map_err(|source| NetworkError::Thread { subject: namespace.to_owned(), source })?;
    match tokio::time::timeout(THREAD_DEADLINE, receiver).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(NetworkError::ThreadPanicked { subject: namespace.to_owned() }),
        Err(_) => Err(NetworkError::Deadline {
            action: "work inside",
            subject: namespace.to_owned(),
            limit: THREAD_DEADLINE,
        }),
    }
}

/// A runtime that never leaves the calling thread.
fn runtime(subject: &str) -> Result<Runtime, NetworkError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| NetworkError::Runtime { subject: subject.to_owned(), source })
}

/// The network namespace of the calling thread, as a descriptor that others can be moved to.
pub(super) fn current() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// A network namespace with a name, whether or not it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    name: String,
    path: Utf8PathBuf,
}

impl Namespace {
    /// The namespace called `name`, which planning made from the host id and an index.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), path: Utf8Path::new(DIRECTORY).join(name) }
    }

    /// Makes the namespace and moves the calling thread into it. Fails when it exists.
    pub(super) fn create_and_enter(&self) -> Result<(), NetworkError> {
        let failed = |source| self.failed("create", source);
        prepare_directory().map_err(failed)?;
        File::options().write(true).create_new(true).open(&self.path).map_err(failed)?;
        sys::unshare_network().map_err(failed)?;
        rustix::mount::mount_bind("/proc/thread-self/ns/net", self.path.as_str())
            .map_err(|errno| failed(errno.into()))
    }

    /// Moves the calling thread into the namespace.
    pub(super) fn enter(&self) -> Result<(), NetworkError> {
        let failed = |source| self.failed("enter", source);
        let file = File::open(&self.path).map_err(failed)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| failed(errno.into()))
    }

    /// True when the name leads to a namespace, and not to the empty file of one that was half made.
    pub(super) fn exists(&self) -> Result<bool, NetworkError> {
        match rustix::fs::statfs(self.path.as_str()) {
            Ok(status) => Ok(status.f_type as u64 == NSFS_MAGIC),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.failed("look at", errno.into())),
        }
    }

    /// Takes the name away, and with it the namespace once no process is inside. Works when it is half made or gone.
    pub(super) fn remove(&self) -> Result<(), NetworkError> {
        loop {
            match rustix::mount::unmount(self.path.as_str(), UnmountFlags::DETACH) {
                Ok(()) => {}
                // Not a mount point (any more), or not there.
                Err(Errno::INVAL | Errno::NOENT) => break,
                Err(errno) => return Err(self.failed("unmount", errno.into())),
            }
        }
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", source))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> NetworkError {
        NetworkError::Namespace { action, name: self.name.clone(), source }
    }
}

/// The names of all namespaces that begin with `prefix`, half made ones too.
pub(super) fn names_with_prefix(prefix: &str) -> Result<Vec<String>, NetworkError> {
    let failed =
        |source| NetworkError::Namespace { action: "list", name: prefix.to_owned(), source };
    let entries = match std::fs::read_dir(DIRECTORY) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Makes the directory a shared mount, so that a namespace removed here disappears in every mount namespace, and
/// waits while `ip netns` or another daemon does the same. Does nothing when it is one already.
fn prepare_directory() -> io::Result<()> {
    std::fs::create_dir_all(DIRECTORY)?;
    let directory = rustix::fs::open(
        DIRECTORY,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    lock_with_deadline(&directory)?;
    let share = || {
        rustix::mount::mount_change(
            DIRECTORY,
            MountPropagationFlags::SHARED | MountPropagationFlags::REC,
        )
    };
    match share() {
        // Not a mount point yet.
        Err(Errno::INVAL) => {
            rustix::mount::mount_bind_recursive(DIRECTORY, DIRECTORY)?;
            share()?;
        }
        result => result?,
    }
    Ok(())
}

/// Takes the lock that `ip netns add` takes too; it is held for microseconds.
fn lock_with_deadline(directory: impl AsFd) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            result => return Ok(result?),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
