//! Commands in a guest that outlive the connection that started them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::ExecSessionId;

/// A command that runs, or that ended not long ago. `GET /machines/{id}/exec/stream` attaches to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecSession {
    /// Its name.
    pub id: ExecSessionId,
    /// The first word of its command, shortened.
    pub program: String,
    /// As whom it runs.
    pub user: String,
    /// Its process in the guest.
    pub pid: u32,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it takes standard input.
    pub stdin: bool,
    /// How many bytes it has written.
    pub output_bytes: u64,
    /// When it began, by this host's clock.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// How it ended; absent while it runs. 128 plus the signal when a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How long it ran; absent while it runs.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub duration_ms: Option<u64>,
}

/// The commands of a machine, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecSessionsAnswer {
    /// Each of them.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub sessions: Vec<ExecSession>,
}
