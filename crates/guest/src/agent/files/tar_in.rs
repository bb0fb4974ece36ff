//! Archives into the workspace. Each entry is made by the same rules as a request for it: beneath the workspace, owned by its
//! user. Devices and pipes are refused.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::error::FileError;
use super::incoming::Incoming;
use super::spool::temporary_name;
use super::workspace::Workspace;
use super::write::new_file;
use crate::limits;

/// What an archive says about the next entry before it, at most.
const EXTENSION_BYTES: u64 = 64 * 1024;

/// Names too long for a header, which stand before it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Makes all that the archive holds beneath the directory `into`, which is made where it is missing. How many entries there were.
pub(super) fn unpack(
    workspace: &Workspace,
    into: &Path,
    incoming: &mut Incoming,
) -> Result<u64, FileError> {
    workspace.make_directories(into)?;
    let mut archive = Archive::new(&mut *incoming);
    let mut count = 0;
    let mut extensions = Extensions::default();
    // Raw: the crate would keep a long name of any length in memory.
    for entry in archive.entries().map_err(FileError::Archive)?.raw(true) {
        let mut entry = entry.map_err(FileError::Archive)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => extensions.path = Some(long(&mut entry)?),
            EntryType::GNULongLink => extensions.link = Some(long(&mut entry)?),
            EntryType::XHeader => read_pax(&mut entry, &mut extensions)?,
            EntryType::XGlobalHeader => {}
            _ => {
                make(workspace, into, &mut entry, std::mem::take(&mut extensions))?;
                count += 1;
            }
        }
    }
    // The archive ends before its stream does: what follows is filling, and then the word that all came.
    io::copy(incoming, &mut io::sink()).map_err(FileError::Archive)?;
    Ok(count)
}

fn make<R: Read>(
    workspace: &Workspace,
    into: &Path,
    entry: &mut Entry<'_, R>,
    extensions: Extensions,
) -> Result<(), FileError> {
    let path = match &extensions.path {
        Some(path) => Cow::Borrowed(path.as_slice()),
        None => entry.header().path_bytes(),
    };
    let inside = inside(&path);
    if inside.as_os_str().is_empty() {
        return Ok(());
    }
    let path = into.join(inside);
    let mode = entry.header().mode().map_err(FileError::Archive)? & 0o777;
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            new_file(workspace, &path, mode, entry).map(drop)
        }
        EntryType::Directory => {
            workspace.make_directories(path.parent().unwrap_or(Path::new("")))?;
            workspace.make_one(&path, mode)
        }
        EntryType::Symlink => {
            let target = link_of(entry, &extensions)?;
            make_link(workspace, &path, |place, name| {
                rustix::fs::symlinkat(OsStr::from_bytes(&target), place, name)
            })
        }
        EntryType::Link => {
            let target = into.join(self::inside(&link_of(entry, &extensions)?));
            let target_place = workspace.place(&target)?;
            make_link(workspace, &path, |place, name| {
                let (parent, target) = (&target_place.parent, target_place.name);
                rustix::fs::linkat(parent, target, place, name, AtFlags::empty())
            })
        }
        _ => Err(FileError::Invalid("an archive may hold files, directories and links only")),
    }
}

/// Under a name of its own first, so that it takes the place of what is there in one step.
fn make_link(
    workspace: &Workspace,
    path: &Path,
    link: impl FnOnce(&rustix::fd::OwnedFd, &OsStr) -> Result<(), Errno>,
) -> Result<(), FileError> {
    let place = workspace.place_with_parents(path)?;
    let temporary = temporary_name();
    link(&place.parent, &temporary).map_err(FileError::io("link", path))?;
    let renamed = rustix::fs::renameat(&place.parent, &temporary, &place.parent, place.name);
    if let Err(error) = renamed {
        if let Err(error) = rustix::fs::unlinkat(&place.parent, &temporary, AtFlags::empty()) {
            tracing::warn!(%error, "left a temporary link");
        }
        return Err(FileError::io("link", path)(error));
    }
    workspace.give_entry(&place, path)
}

fn link_of<'a, R: Read>(
    entry: &'a Entry<'_, R>,
    extensions: &'a Extensions,
) -> Result<Cow<'a, [u8]>, FileError> {
    match &extensions.link {
        Some(link) => Ok(Cow::Borrowed(link.as_slice())),
        None => entry
            .header()
            .link_name_bytes()
            .ok_or(FileError::Invalid("a link in the archive leads nowhere")),
    }
}

/// The entry's path without what stands for where it is unpacked. What leads out is refused where it is used.
fn inside(path: &[u8]) -> PathBuf {
    use std::path::Component;
    Path::new(OsStr::from_bytes(path))
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .collect()
}

fn long<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FileError> {
    let mut name = bounded(entry)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    if name.len() > limits::PATH_BYTES {
        return Err(FileError::Invalid("a path in the archive is too long"));
    }
    Ok(name)
}

fn read_pax<R: Read>(
    entry: &mut Entry<'_, R>,
    extensions: &mut Extensions,
) -> Result<(), FileError> {
    let data = bounded(entry)?;
    for extension in PaxExtensions::new(&data) {
        let extension = extension.map_err(FileError::Archive)?;
        match extension.key_bytes() {
            b"path" => extensions.path = Some(extension.value_bytes().to_owned()),
            b"linkpath" => extensions.link = Some(extension.value_bytes().to_owned()),
            b"size" => {
                return Err(FileError::Invalid(
                    "a size in a pax header: make the archive in GNU format",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn bounded<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, FileError> {
    if entry.size() > EXTENSION_BYTES {
        return Err(FileError::Invalid("a header in the archive is too long"));
    }
    let mut data = Vec::new();
    entry.take(EXTENSION_BYTES).read_to_end(&mut data).map_err(FileError::Archive)?;
    Ok(data)
}
