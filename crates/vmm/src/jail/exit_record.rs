//! How the program of a jail ended, written by its keeper.
//!
//! The file is made, and its space taken, before the program starts; it is filled when the program has ended. A file of
//! blanks therefore means that the program runs, or that the keeper itself was killed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use camino::Utf8Path;
use rustix::process::WaitIdStatus;
use serde::{Deserialize, Serialize};

/// The length of the file, empty or filled.
const LENGTH_BYTES: usize = 128;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Exit {
    /// It left by itself, with this status.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl From<WaitIdStatus> for Exit {
    fn from(status: WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Code(-1),
        }
    }
}

/// Makes the empty record, in place of whatever was at `path`.
pub fn create(path: &Utf8Path) -> io::Result<File> {
    super::ring::remove_if_present(path)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all_at(&[b' '; LENGTH_BYTES], 0)?;
    Ok(file)
}

/// Fills the record and syncs it.
pub fn fill(file: &File, exit: Exit) -> io::Result<()> {
    file.write_all_at(&serde_json::to_vec(&exit)?, 0)?;
    file.sync_data()
}

/// Reads the record; `None` while it is empty or absent.
pub fn read(path: &Utf8Path) -> io::Result<Option<Exit>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text).map(Some).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_empty_until_it_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("exit.json");
        assert_eq!(read(&path).unwrap(), None);

        let file = create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);

        fill(&file, Exit::Signal(9)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(Exit::Signal(9)));
        create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None, "a new run forgets the end of the last");
    }
}
