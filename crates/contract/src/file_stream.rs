//! Files, archives and changes of a guest as streams, for what does not fit into one request or answer.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::file::FileStat;
use crate::forgiving;

/// Which file, directory or archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct FileQuery {
    /// Its path; relative ones, and none, are under the workspace.
    #[serde(default)]
    pub path: String,
}

/// Which file is written, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
pub struct WriteFileQuery {
    /// Its path; relative ones are under the workspace.
    #[serde(default)]
    pub path: String,
    /// Its permission bits, as a decimal number; those of the file that it replaces, or 420 (0644), when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// The answer to a file or an archive that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileWrittenAnswer {
    /// What the path is now.
    pub stat: FileStat,
    /// How many entries an archive had.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub entries: Option<u64>,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// The watch has begun: what happens from here on is told.
    Watching,
    /// It came, by being made or moved.
    Created,
    /// Its content or its mode changed.
    Modified,
    /// It went, by being removed or moved.
    Removed,
    /// Changes were missed: look again.
    Overflowed,
    /// Nothing happened; the watch goes on.
    Quiet,
    /// The watch has ended: the machine stopped, or its agent is gone.
    Ended,
}

/// A line of a watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileChangeEvent {
    /// What happened.
    pub change: FileChange,
    /// To which path, relative to the workspace.
    pub path: String,
}
