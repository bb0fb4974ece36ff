//! One change of a name at a time: what reads, compares and replaces a file is not interleaved with another of its kind.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::error::FileError;
use super::workspace::Place;

/// How long a change waits for another of the same name.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name in a directory, by the directory's identity.
type Key = (u64, u64, OsString);

/// The names that are being changed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<HashSet<Key>>,
    released: Condvar,
}

/// A name that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    shared: Arc<Shared>,
    key: Key,
}

impl Names {
    /// Waits until nobody else changes this name.
    pub(super) fn hold(&self, place: &Place<'_>, path: &Path) -> Result<Held, FileError> {
        let parent = rustix::fs::fstat(&place.parent).map_err(FileError::io("stat", path))?;
        let key = (parent.st_dev, parent.st_ino, place.name.to_owned());
        let held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut held, waited) = self
            .shared
            .released
            .wait_timeout_while(held, PATIENCE, |held| held.contains(&key))
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && held.contains(&key) {
            return Err(FileError::Busy(path.to_owned()));
        }
        held.insert(key.clone());
        Ok(Held { shared: Arc::clone(&self.shared), key })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.key);
        self.shared.released.notify_all();
    }
}
