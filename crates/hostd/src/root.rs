//! The root directory: made, locked, and named.
//!
//! Each root has a `host_id`, minted once, in `state/host_id`. The file is locked for the daemon's life, so that a root has
//! one daemon; two daemons with roots of their own live on one host, told apart by their ids.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use engine::layout::Layout;
use rustix::fs::{FlockOperation, Gid};

use crate::mint::SystemMint;

/// A root that is ours until this is dropped.
#[derive(Debug)]
pub struct Root {
    /// Eight hex digits.
    pub host_id: String,
    _lock: File,
}

/// Why the root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Another daemon has it.
    #[error("another computerd runs on {0}: stop it, or give this one a root of its own")]
    Taken(Utf8PathBuf),
    /// Its id is not one.
    #[error("{0} does not hold eight hex digits")]
    HostId(Utf8PathBuf),
    /// There is no such group.
    #[error("there is no group {0}")]
    Group(String),
    /// A directory or file cannot be made.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Root {
    /// Makes the directories (the root 0710 and the group's, those below 0700), locks the root and reads its id.
    ///
    /// # Errors
    /// When another daemon has it, or the file system refuses.
    pub fn open(layout: &Layout, group: Option<Gid>) -> Result<Self, RootError> {
        make_dir(layout.root(), 0o710)?;
        rustix::fs::chown(layout.root().as_std_path(), None, group)
            .map_err(|error| failed("give to the group", layout.root())(error.into()))?;
        let below = [
            layout.state(),
            layout.artifacts(),
            layout.machines(),
            layout.snapshots(),
            layout.sets(),
            layout.volumes(),
            layout.all_scratch(),
            layout.runtimes(),
        ];
        below.iter().try_for_each(|directory| make_dir(directory, 0o700))?;
        lock(layout)
    }
}

fn lock(layout: &Layout) -> Result<Root, RootError> {
    let path = layout.state().join("host_id");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(RootError::Taken(layout.root().to_owned()));
        }
        Err(error) => return Err(failed("lock", &path)(error.into())),
    }
    let mut host_id = String::new();
    Read::by_ref(&mut file).take(64).read_to_string(&mut host_id).map_err(failed("read", &path))?;
    if host_id.is_empty() {
        host_id = hex::encode(SystemMint.random::<4>());
        file.write_all(host_id.as_bytes()).map_err(failed("write", &path))?;
        file.sync_all().map_err(failed("sync", &path))?;
        let state = layout.state();
        File::open(&state).and_then(|state| state.sync_all()).map_err(failed("sync", &state))?;
    }
    let host_id = host_id.trim().to_owned();
    let is_id =
        host_id.len() == 8 && host_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id {
        return Err(RootError::HostId(path));
    }
    Ok(Root { host_id, _lock: file })
}

/// The id of a group, by name or number.
///
/// # Errors
/// When there is no such group.
pub fn group_id(name: &str) -> Result<Gid, RootError> {
    if let Ok(number) = name.parse::<u32>().map(Gid::from_raw) {
        return Ok(number);
    }
    let path = Utf8Path::new("/etc/group");
    let groups = std::fs::read_to_string(path).map_err(failed("read", path))?;
    let number = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.map(Gid::from_raw).ok_or_else(|| RootError::Group(name.to_owned()))
}

fn make_dir(path: &Utf8Path, mode: u32) -> Result<(), RootError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("make", path))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(failed("set the mode of", path))
}

fn failed(action: &'static str, path: &Utf8Path) -> impl Fn(io::Error) -> RootError {
    let path = path.to_owned();
    move |source| RootError::File { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &tempfile::TempDir) -> Layout {
        let path = Utf8PathBuf::from_path_buf(directory.path().join("root")).unwrap();
        Layout::new(path)
    }

    #[test]
    fn a_root_has_one_daemon_and_one_id_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let first = Root::open(&layout, None).unwrap();
        assert_eq!(first.host_id.len(), 8);
        assert!(matches!(Root::open(&layout, None), Err(RootError::Taken(_))));
        let id = first.host_id.clone();
        drop(first);
        assert_eq!(Root::open(&layout, None).unwrap().host_id, id);
    }

    #[test]
    fn promise_p11_directories_are_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let _root = Root::open(&layout, None).unwrap();
        let mode = |path: &Utf8Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(layout.root()), 0o710);
        for below in [layout.state(), layout.machines(), layout.snapshots(), layout.all_scratch()] {
            assert_eq!(mode(&below), 0o700, "{below}");
        }
    }

    #[test]
    fn a_spoilt_id_is_told_and_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        drop(Root::open(&layout, None).unwrap());
        std::fs::write(layout.state().join("host_id"), "../../etc").unwrap();
        assert!(matches!(Root::open(&layout, None), Err(RootError::HostId(_))));
    }

    #[test]
    fn groups_are_found_by_name_and_number() {
        assert_eq!(group_id("root").unwrap(), Gid::ROOT);
        assert_eq!(group_id("1234").unwrap(), Gid::from_raw(1234));
        assert!(matches!(group_id("no such group"), Err(RootError::Group(_))));
    }
}
