//! Where the agent finds and writes files: all beneath one root, so that a test has its own.

use std::path::{Path, PathBuf};

/// Files of the guest.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    root: PathBuf,
    workspace: PathBuf,
}

impl Places {
    pub(crate) fn new(root: PathBuf, workspace: PathBuf) -> Places {
        Places { root, workspace }
    }

    /// The files are those of this very system, so that kernel state may be changed with them.
    pub(crate) fn is_real_root(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path of the guest, which may begin with a slash.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A path as the host gave it: relative ones are beneath the workspace.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.path(self.workspace.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_beneath_the_workspace_and_all_beneath_the_root() {
        let places = Places::new("/tmp/root".into(), "/home/node/workspace".into());
        assert_eq!(places.resolve("a/b"), Path::new("/tmp/root/home/node/workspace/a/b"));
        assert_eq!(places.resolve(""), Path::new("/tmp/root/home/node/workspace/"));
        assert_eq!(places.resolve("/etc/x"), Path::new("/tmp/root/etc/x"));
        assert!(!places.is_real_root());
    }
}
