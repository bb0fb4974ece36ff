//! Running a command in a guest and waiting for its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;

/// For how long a command may run when the request does not say.
pub const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// For how long a request may let a command run.
pub const MAX_TIMEOUT_MS: u64 = 300_000;
/// As whom a command runs when the request does not say.
pub const DEFAULT_USER: &str = "node";

/// A request to run a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecRequest {
    /// The program and its arguments.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub command: Vec<String>,
    /// Where it runs; the user's home when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub cwd: Option<String>,
    /// Variables added to its environment.
    #[serde(
        default,
        deserialize_with = "forgiving::nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub env: BTreeMap<String, String>,
    /// For how long it may run; 30 s when absent, 5 min at most.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout_ms: Option<u64>,
    /// As whom it runs; `node` when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub user: Option<String>,
}

/// The end of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecResponse {
    /// How it ended; 128 plus the signal when a signal ended it.
    pub exit_code: i32,
    /// What it wrote to standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
    /// How long it ran.
    pub duration_ms: u64,
    /// Whether it wrote more than is kept: then its outputs end early.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}
