//! The messages and services of `proto/agent.proto`, as generated. Messages with secrets print without them.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated code; the .proto file is its documentation"
)]

use std::fmt;

tonic::include_proto!("computer.agent.v1");

/// Files beneath the workspace: `proto/files.proto`.
pub mod files {
    tonic::include_proto!("computer.files.v1");
}

/// Mounted stores: `proto/mounts.proto`.
pub mod mounts {
    tonic::include_proto!("computer.mounts.v1");
}

impl fmt::Debug for mounts::MountRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MountRequest").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReseedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReseedRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for RenewRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RenewRequest")
            .field("unix_time_ns", &self.unix_time_ns)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ExecServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ExecServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for LoginWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoginWebhook").field("url", &self.url).finish_non_exhaustive()
    }
}
