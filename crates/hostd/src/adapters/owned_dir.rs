//! Directories that carry the id of the operation that made them.
//!
//! The mark is the name of an empty file inside, so that it is ordered with the directory by the file system's own journal. A
//! directory appears with its mark by one rename, and leaves by one rename: never the one without the other.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use engine::port::{Fault, PortError};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::DirBuilderExt;

/// The directory beneath which whatever is not published lies, on the file system of all the others.
#[derive(Debug, Clone)]
pub(super) struct OwnedDirs {
    scratch: Utf8PathBuf,
}

impl OwnedDirs {
    pub(super) fn new(scratch: Utf8PathBuf) -> Self {
        Self { scratch }
    }

    /// Makes `dir`, 0700, with the operation's mark. There already with that mark: fine.
    pub(super) fn make(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        let new = self.scratch.join(format!(".new-{operation}"));
        remove_tree_if_there(&new)?;
        make_private_dir(&new)?;
        fs::File::create_new(new.join(mark(operation)))
            .map_err(|error| PortError::io(format!("mark {new}"), error))?;
        match rename_new(&new, dir) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree_if_there(&new)?;
                if carries(dir, operation)? {
                    return Ok(());
                }
                Err(PortError::plain(
                    Fault::Internal,
                    format!("make {dir}, which exists and is another operation's"),
                ))
            }
            Err(error) => Err(PortError::io(format!("make {dir}"), error)),
        }
    }

    /// Removes `dir` if it carries the operation's mark, and what an earlier try left half removed.
    pub(super) fn remove(&self, dir: &Utf8Path, operation: &OperationId) -> Result<(), PortError> {
        let gone = self.scratch.join(format!(".gone-{operation}"));
        remove_tree_if_there(&gone)?;
        remove_tree_if_there(&self.scratch.join(format!(".new-{operation}")))?;
        if !carries(dir, operation)? {
            return Ok(());
        }
        rename_new(dir, &gone)
            .map_err(|error| PortError::io(format!("move {dir} out of the way"), error))?;
        remove_tree_if_there(&gone)
    }
}

/// The operation that a name in the scratch directory belongs to.
pub(super) fn operation_of(name: &str) -> Option<OperationId> {
    let plain = name.strip_prefix(".new-").or_else(|| name.strip_prefix(".gone-")).unwrap_or(name);
    plain.parse().ok()
}

pub(super) fn mark(operation: &OperationId) -> String {
    format!(".operation-{operation}")
}

pub(super) fn carries(dir: &Utf8Path, operation: &OperationId) -> Result<bool, PortError> {
    let path = dir.join(mark(operation));
    match path.symlink_metadata() {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(false)
        }
        Err(error) => Err(PortError::io(format!("look for {path}"), error)),
    }
}

pub(super) fn make_private_dir(dir: &Utf8Path) -> Result<(), PortError> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(|error| PortError::io(format!("make {dir}"), error))
}

pub(super) fn remove_tree_if_there(dir: &Utf8Path) -> Result<(), PortError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PortError::io(format!("remove {dir}"), error))
        }
        _ => Ok(()),
    }
}

pub(super) fn rename_new(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from.as_str(), CWD, to.as_str(), RenameFlags::NOREPLACE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(number: u8) -> OperationId {
        engine::testing::operation(number)
    }

    fn dirs() -> (tempfile::TempDir, OwnedDirs, Utf8PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temporary.path().to_owned()).unwrap();
        fs::create_dir(root.join("scratch")).unwrap();
        let dirs = OwnedDirs::new(root.join("scratch"));
        (temporary, dirs, root.join("thing"))
    }

    #[test]
    fn promise_p2_undo_leaves_another_owners_directory_alone() {
        let (_temporary, dirs, thing) = dirs();
        dirs.make(&thing, &operation(1)).unwrap();
        dirs.make(&thing, &operation(2)).unwrap_err();
        dirs.remove(&thing, &operation(2)).unwrap();
        assert!(thing.exists());
        dirs.remove(&thing, &operation(1)).unwrap();
        dirs.remove(&thing, &operation(1)).unwrap();
        assert!(!thing.exists());
    }

    #[test]
    fn promise_p2_making_twice_is_fine_and_a_half_made_one_is_no_hindrance() {
        let (_temporary, dirs, thing) = dirs();
        fs::create_dir(dirs.scratch.join(format!(".new-{}", operation(1)))).unwrap();
        dirs.make(&thing, &operation(1)).unwrap();
        dirs.make(&thing, &operation(1)).unwrap();
        dirs.remove(&thing, &operation(1)).unwrap();
        assert_eq!(fs::read_dir(&dirs.scratch).unwrap().count(), 0);
    }

    #[test]
    fn names_in_scratch_tell_their_operation() {
        let id = operation(3);
        for name in [id.to_string(), format!(".new-{id}"), format!(".gone-{id}")] {
            assert_eq!(operation_of(&name), Some(id.clone()));
        }
        assert_eq!(operation_of("lost+found"), None);
    }
}
