//! How far a job is, in a file that the supervisor writes and the daemon reads.

use std::io;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

/// The file's name in the directory of the job.
pub const FILE_NAME: &str = "status.json";

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", deny_unknown_fields)]
pub enum FillStatus {
    /// Chunks are still missing.
    Filling {
        /// Bytes still to be fetched.
        missing_bytes: u64,
    },
    /// The files are plain local files, and synced.
    Full,
    /// A chunk that the guest waited for could not be had, and its VMM was ended.
    Lost {
        /// Which, and why.
        reason: String,
    },
}

impl FillStatus {
    /// Writes it over an earlier one, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &Utf8Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        // The daemon may write too, when it finds the supervisor dead.
        let new = dir.join(format!("status.{}", std::process::id()));
        std::fs::write(&new, bytes)?;
        std::fs::File::open(&new)?.sync_data()?;
        std::fs::rename(&new, dir.join(FILE_NAME))
    }

    /// Reads it; nothing where none was written yet.
    ///
    /// # Errors
    /// When it cannot be read or is not understood.
    pub fn read(dir: &Utf8Path) -> io::Result<Option<Self>> {
        match std::fs::read(dir.join(FILE_NAME)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
