//! What a machine's record knows of the filling of its files.

use serde::{Deserialize, Serialize};

use crate::port::FillingPlace;

/// Files of a machine that are, or were, filled while it runs. Absent once they are plain files and nobody serves them any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillingRecord {
    /// Where.
    pub place: FillingPlace,
    /// Bytes that were missing when it was last looked at; 0 when it was full.
    pub missing_bytes: Option<u64>,
}
