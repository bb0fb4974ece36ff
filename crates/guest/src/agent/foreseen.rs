//! What a freeze makes ready for the renewal of clones.
//!
//! Until the freeze ends no process of the guest runs but the agent, so a clone need not look again for what is seen now: files that
//! it will write are open, what it would only read is read. To a guest that has just been emulated anew, the first file that is
//! opened costs more than all that it writes.

use std::fs::File;

use super::atomic_file::InPlace;
use super::hooks::SeenHooks;
use super::places::Places;
use crate::sys::entropy;

/// The files of an identity, with their modes.
const FILES: [(&str, u32); 3] = [HOSTNAME, HOSTS, MACHINE_ID];
/// The machine's name, for its next boot.
pub(crate) const HOSTNAME: (&str, u32) = ("/etc/hostname", 0o644);
/// Where the machine's name is looked up.
pub(crate) const HOSTS: (&str, u32) = ("/etc/hosts", 0o644);
/// The machine's id.
pub(crate) const MACHINE_ID: (&str, u32) = ("/etc/machine-id", 0o444);

/// Seen in one freeze, and of no use after it.
#[derive(Debug)]
pub(crate) struct Foreseen {
    pub(crate) hooks: Option<SeenHooks>,
    pub(crate) entropy: Option<File>,
    files: Vec<(&'static str, InPlace)>,
}

impl Foreseen {
    /// Looks. What is not as it should be is left to the renewal.
    pub(crate) fn look(places: &Places) -> Foreseen {
        let open = |(path, mode)| Some((path, InPlace::open(&places.path(path), mode).ok()??));
        Foreseen {
            hooks: SeenHooks::look(places),
            entropy: entropy::open().ok(),
            files: FILES.into_iter().filter_map(open).collect(),
        }
    }

    /// A file that is still what it was.
    pub(crate) fn file(&self, path: &str) -> Option<&InPlace> {
        let (_, file) = self.files.iter().find(|(known, _)| *known == path)?;
        file.is_current().then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A root whose hostname is seen in a freeze; `None` where only root's files are changed in place.
    fn seen() -> Option<(tempfile::TempDir, Foreseen)> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root's files are changed in place");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hostname"), "source\n").unwrap();
        let foreseen = Foreseen::look(&Places::new(root.path().to_owned(), "/".into()));
        Some((root, foreseen))
    }

    #[test]
    fn a_file_that_was_seen_is_written_through_promise_p8() {
        let Some((root, foreseen)) = seen() else { return };
        let file = foreseen.file(HOSTNAME.0).unwrap();
        assert_eq!(file.text(), b"source\n");
        file.settle(b"clone\n").unwrap();
        assert_eq!(fs::read(root.path().join("etc/hostname")).unwrap(), b"clone\n");
        assert!(foreseen.file(MACHINE_ID.0).is_none(), "it was not there");
    }

    #[test]
    fn a_file_that_was_replaced_or_changed_since_is_not_what_was_seen_promise_p8() {
        let Some((root, foreseen)) = seen() else { return };
        let path = root.path().join("etc/hostname");
        fs::write(root.path().join("etc/new"), "other\n").unwrap();
        fs::rename(root.path().join("etc/new"), &path).unwrap();
        assert!(foreseen.file(HOSTNAME.0).is_none(), "the open file has no name any more");

        let Some((root, foreseen)) = seen() else { return };
        fs::write(root.path().join("etc/hostname"), "a longer name\n").unwrap();
        assert!(foreseen.file(HOSTNAME.0).is_none());
    }
}
