//! Every file beneath the root and whose it is, in the order in which shared blocks are charged: what is cloned from before what is
//! a clone.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use engine::layout::{Layout, machine_file};

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Kernels, images, VMM runtimes.
    Artifacts,
    /// A snapshot, by the name of its directory; `None` while it is not published yet.
    Snapshot(Option<String>),
    /// The system disk of a machine, by the name of its directory.
    System(String),
    /// A disk that goes with a machine.
    User(String),
    /// Memory, logs and the rest of a machine.
    Runtime(String),
    /// A volume that outlives machines, by the name of its directory.
    Volume(String),
    /// Records and journal.
    State,
}

impl Owner {
    /// Whether its files are cloned from and never written: then blocks become shared without the file changing.
    pub(super) fn is_source(&self) -> bool {
        matches!(self, Self::Artifacts | Self::Snapshot(_))
    }
}

/// Calls `visit` for every file and directory.
pub(super) fn walk(
    layout: &Layout,
    visit: &mut dyn FnMut(&Owner, &Utf8Path, &Metadata),
) -> io::Result<()> {
    for dir in [layout.artifacts(), layout.runtimes()] {
        tree(&dir, &Owner::Artifacts, visit)?;
    }
    for (name, dir) in subdirectories(&layout.snapshots())? {
        tree(&dir, &Owner::Snapshot(Some(name)), visit)?;
    }
    tree(&layout.sets(), &Owner::Snapshot(None), visit)?;
    tree(&layout.all_scratch(), &Owner::Snapshot(None), visit)?;
    for (name, dir) in subdirectories(&layout.machines())? {
        machine(name, &dir, visit)?;
    }
    for (name, dir) in subdirectories(&layout.volumes())? {
        tree(&dir, &Owner::Volume(name), visit)?;
    }
    tree(&layout.state(), &Owner::State, visit)
}

fn machine(
    name: String,
    dir: &Utf8Path,
    visit: &mut dyn FnMut(&Owner, &Utf8Path, &Metadata),
) -> io::Result<()> {
    let (system, user) = (Owner::System(name.clone()), Owner::User(name.clone()));
    let runtime = Owner::Runtime(name);
    for path in entries(dir)? {
        let file = path.file_name().unwrap_or_default();
        let is_user = file.starts_with("user-") && file.ends_with(".img");
        let owner = match file {
            machine_file::SYSTEM_DISK => &system,
            _ if is_user => &user,
            _ => &runtime,
        };
        tree(&path, owner, visit)?;
    }
    Ok(())
}

/// A file or a tree, links not followed. What is gone meanwhile takes no room.
fn tree(
    path: &Utf8Path,
    owner: &Owner,
    visit: &mut dyn FnMut(&Owner, &Utf8Path, &Metadata),
) -> io::Result<()> {
    let Some(metadata) = there(path.symlink_metadata())? else { return Ok(()) };
    visit(owner, path, &metadata);
    if metadata.is_dir() {
        for entry in entries(path)? {
            tree(&entry, owner, visit)?;
        }
    }
    Ok(())
}

fn subdirectories(dir: &Utf8Path) -> io::Result<Vec<(String, Utf8PathBuf)>> {
    let named = |path: Utf8PathBuf| Some((path.file_name()?.to_owned(), path));
    Ok(entries(dir)?.into_iter().filter_map(named).collect())
}

/// What a directory holds, by name, so that two passes charge alike.
fn entries(dir: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let Some(entries) = there(dir.read_dir_utf8())? else { return Ok(vec![]) };
    let mut paths = Vec::new();
    for entry in entries {
        if let Some(entry) = there(entry)? {
            paths.push(entry.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which file it is, whatever it is called.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
