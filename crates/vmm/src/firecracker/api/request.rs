//! The requests in use, each with its method, path and body.

use http::Method;
use serde_json::Value;

use super::message::{Action, SnapshotCreate, SnapshotLoad, VmState};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Who answers, and whether its guest runs.
    Describe,
    /// Which Firecracker answers.
    Version,
    /// Stops or runs the vCPUs; either twice is fine.
    PatchVm(VmState),
    /// Does something once.
    Act(Action),
    /// Writes a snapshot of a paused guest.
    CreateSnapshot(SnapshotCreate),
    /// Loads a snapshot into a process that has done nothing yet.
    LoadSnapshot(SnapshotLoad),
    /// Replaces what the metadata service tells the guest.
    PutMetadata(Value),
}

impl Request {
    /// Its method.
    pub fn method(&self) -> Method {
        match self {
            Self::Describe | Self::Version => Method::GET,
            Self::PatchVm(_) => Method::PATCH,
            Self::Act(_)
            | Self::CreateSnapshot(_)
            | Self::LoadSnapshot(_)
            | Self::PutMetadata(_) => Method::PUT,
        }
    }

    /// Its path.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Describe => "/",
            Self::Version => "/version",
            Self::PatchVm(_) => "/vm",
            Self::Act(_) => "/actions",
            Self::CreateSnapshot(_) => "/snapshot/create",
            Self::LoadSnapshot(_) => "/snapshot/load",
            Self::PutMetadata(_) => "/mmds",
        }
    }

    /// Its body, where it has one.
    ///
    /// # Errors
    /// None that these types can bring about.
    pub fn body(&self) -> serde_json::Result<Option<Vec<u8>>> {
        match self {
            Self::Describe | Self::Version => return Ok(None),
            Self::PatchVm(body) => serde_json::to_vec(body),
            Self::Act(body) => serde_json::to_vec(body),
            Self::CreateSnapshot(body) => serde_json::to_vec(body),
            Self::LoadSnapshot(body) => serde_json::to_vec(body),
            Self::PutMetadata(body) => serde_json::to_vec(body),
        }
        .map(Some)
    }

    /// Method and path, for people.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method(), self.path())
    }
}
