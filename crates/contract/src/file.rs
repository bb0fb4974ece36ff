//! Files in a guest. Paths are the guest's and are judged there; none is ever a path of the host.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;

/// What is done to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileOperationName {
    /// Reads a file as UTF-8.
    ReadText,
    /// Reads a file as bytes.
    ReadBytes,
    /// Writes a file from UTF-8.
    WriteText,
    /// Writes a file from bytes.
    WriteBytes,
    /// Reads a part of a file.
    ReadRange,
    /// Writes a part of a file.
    WriteRange,
    /// Removes a file or a directory.
    Remove,
    /// Lists a directory.
    List,
    /// Says what a path is.
    Stat,
    /// Says whether a path is there.
    Exists,
    /// Makes a directory.
    Mkdir,
    /// Moves a file or a directory.
    Move,
    /// Replaces text in a file.
    Patch,
    /// Searches files.
    Grep,
}

impl FileOperationName {
    /// Whether it changes files.
    #[must_use]
    pub fn is_change(self) -> bool {
        match self {
            Self::WriteText
            | Self::WriteBytes
            | Self::WriteRange
            | Self::Remove
            | Self::Mkdir
            | Self::Move
            | Self::Patch => true,
            Self::ReadText
            | Self::ReadBytes
            | Self::ReadRange
            | Self::List
            | Self::Stat
            | Self::Exists
            | Self::Grep => false,
        }
    }
}

/// A request to do something to files of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileOperationRequest {
    /// What is done.
    pub operation: FileOperationName,
    /// To which path; relative ones, and none, are under the workspace.
    #[serde(
        default,
        deserialize_with = "forgiving::nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub path: String,
    /// Where `move` moves to.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub to: Option<String>,
    /// The text to write.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub content: Option<String>,
    /// The bytes to write.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub content_base64: Option<String>,
    /// Permission bits, as a decimal number.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub mode: Option<u32>,
    /// Whether to go into directories.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub recursive: bool,
    /// Where a range begins; 0 when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub offset: Option<u64>,
    /// How long a range is.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub length: Option<u64>,
    /// What `patch` replaces, in order.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub edits: Vec<FileEdit>,
    /// The whole new content, for `patch`; present and empty, it empties the file.
    #[serde(
        default,
        deserialize_with = "forgiving::nullable",
        skip_serializing_if = "Option::is_none"
    )]
    pub set_contents: Option<String>,
    /// What `grep` looks for.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub pattern: Option<String>,
    /// Whether the pattern is a regular expression.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub regex: bool,
    /// Whether letters match in either case.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub case_insensitive: bool,
    /// How many matches are enough.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_matches: Option<u32>,
    /// The version that `patch` expects to find; another one is 409.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expected_version: Option<u64>,
}

impl FileOperationRequest {
    /// A request that says no more than what is done to which path.
    pub fn new(operation: FileOperationName, path: impl Into<String>) -> Self {
        Self {
            operation,
            path: path.into(),
            to: None,
            content: None,
            content_base64: None,
            mode: None,
            recursive: false,
            offset: None,
            length: None,
            edits: Vec::new(),
            set_contents: None,
            pattern: None,
            regex: false,
            case_insensitive: false,
            max_matches: None,
            expected_version: None,
        }
    }
}

/// One replacement, of every occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEdit {
    /// What is there; it must occur.
    pub find: String,
    /// What takes its place.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub replace: String,
}

/// What was found or done; which fields are there follows from the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileOperationResponse {
    /// The text that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The bytes that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_base64: Option<String>,
    /// What a directory holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<FileEntry>>,
    /// What a path is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stat: Option<FileStat>,
    /// Whether a path is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The version of the content: the first 8 bytes of its SHA-256, big endian, top bit cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What a search found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Vec<FileMatch>>,
    /// There is more than `entries` or `matches` hold: a limit was reached.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub truncated: bool,
}

/// Whether a path is a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    /// Its path, relative to the workspace.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Its permission bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileStat {
    /// The path, relative to the workspace.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Its permission bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// One line that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileMatch {
    /// The file, relative to the workspace.
    pub path: String,
    /// The number of the line, from 1.
    pub line: u64,
    /// The line.
    #[serde(rename = "match")]
    pub text: String,
}
