//! The file system of the fake host: names, inodes behind them, and the marks of operations on directories.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use engine::port::{Fault, PortError};

use super::content::Content;

/// What a name leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A directory, and the operation whose id it carries.
    Directory {
        /// The operation that made it.
        carries: Option<OperationId>,
    },
    /// A file: the number of its inode.
    File(u64),
}

/// A file behind its names.
#[derive(Debug, Clone, PartialEq)]
pub struct Inode {
    /// What it holds.
    pub content: Content,
    /// Its apparent size.
    pub size_bytes: u64,
    /// Its uid; 0 is the daemon's.
    pub owner: u32,
    /// Sealed or cached: nobody may write it.
    pub is_read_only: bool,
    /// Whether a VMM has ever had it open for writing.
    pub was_held_by_vmm: bool,
}

/// The file system.
#[derive(Debug, Default)]
pub struct Disk {
    entries: BTreeMap<Utf8PathBuf, Entry>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
}

impl Disk {
    /// All names.
    pub fn entries(&self) -> impl Iterator<Item = (&Utf8Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// What a name leads to.
    pub fn entry(&self, path: &Utf8Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The number and the inode of a file.
    pub fn file(&self, path: &Utf8Path) -> Result<(u64, &Inode), PortError> {
        match self.entries.get(path) {
            Some(Entry::File(number)) => Ok((*number, self.inode(*number))),
            Some(Entry::Directory { .. }) => {
                Err(PortError::plain(Fault::Internal, format!("open {path}: it is a directory")))
            }
            None => Err(PortError::plain(Fault::Absent, format!("open {path}: no such file"))),
        }
    }

    /// The inode of a file, to be changed.
    pub fn file_mut(&mut self, path: &Utf8Path) -> Result<&mut Inode, PortError> {
        let (number, _) = self.file(path)?;
        self.inode_mut(number)
            .ok_or_else(|| PortError::plain(Fault::Internal, format!("open {path}: no inode")))
    }

    fn inode(&self, number: u64) -> &Inode {
        self.inodes.get(&number).expect("a name leads to an inode that exists")
    }

    /// The inode with this number, also when no name leads to it any more.
    pub fn inode_mut(&mut self, number: u64) -> Option<&mut Inode> {
        self.inodes.get_mut(&number)
    }

    /// Makes a directory; its parent exists or is one of the root's own.
    pub fn make_dir(&mut self, path: &Utf8Path, carries: Option<OperationId>) {
        self.entries.insert(path.to_owned(), Entry::Directory { carries });
    }

    /// Writes a new file over whatever had its name; a new inode. The directory must exist.
    pub fn write(&mut self, path: &Utf8Path, inode: Inode) -> Result<u64, PortError> {
        self.parent_exists(path)?;
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, inode);
        self.entries.insert(path.to_owned(), Entry::File(self.next_inode));
        Ok(self.next_inode)
    }

    /// Gives an inode a further name.
    pub fn link(&mut self, from: &Utf8Path, to: &Utf8Path) -> Result<(), PortError> {
        let (number, _) = self.file(from)?;
        self.parent_exists(to)?;
        self.entries.insert(to.to_owned(), Entry::File(number));
        Ok(())
    }

    /// Moves a tree; never over an existing name.
    pub fn rename(&mut self, from: &Utf8Path, to: &Utf8Path) -> Result<(), PortError> {
        if self.entries.contains_key(to) {
            return Err(PortError::plain(
                Fault::Internal,
                format!("rename {from} to {to}: it exists"),
            ));
        }
        if !self.entries.contains_key(from) {
            return Err(PortError::plain(
                Fault::Absent,
                format!("rename {from} to {to}: there is nothing"),
            ));
        }
        for path in self.tree(from) {
            if let Some(entry) = self.entries.remove(&path) {
                let rest = path.strip_prefix(from).unwrap_or(&path);
                let target = if rest.as_str().is_empty() { to.to_owned() } else { to.join(rest) };
                self.entries.insert(target, entry);
            }
        }
        Ok(())
    }

    /// Removes a tree, if it is there.
    pub fn remove_tree(&mut self, path: &Utf8Path) {
        for path in self.tree(path) {
            self.entries.remove(&path);
        }
    }

    /// Whether a directory is there.
    pub fn has_dir(&self, path: &Utf8Path) -> bool {
        matches!(self.entries.get(path), Some(Entry::Directory { .. }))
    }

    /// The names of a tree, its root first.
    pub fn tree(&self, root: &Utf8Path) -> Vec<Utf8PathBuf> {
        self.entries.keys().filter(|path| path.starts_with(root)).cloned().collect()
    }

    fn parent_exists(&self, path: &Utf8Path) -> Result<(), PortError> {
        match path.parent() {
            Some(parent) if self.has_dir(parent) => Ok(()),
            _ => Err(PortError::plain(Fault::Absent, format!("make {path}: no such directory"))),
        }
    }
}
