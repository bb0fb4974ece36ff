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

    /// The workspace, relative to the root.
    pub(crate) fn workspace(&self) -> &Path {
        self.workspace.strip_prefix("/").unwrap_or(&self.workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_beneath_the_root() {
        let places = Places::new("/tmp/root".into(), "/home/node/workspace".into());
        assert_eq!(places.workspace(), Path::new("home/node/workspace"));
        assert_eq!(places.path("/etc/x"), Path::new("/tmp/root/etc/x"));
        assert!(!places.is_real_root());
    }
}
