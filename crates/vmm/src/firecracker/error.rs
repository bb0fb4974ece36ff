//! What can go wrong with a Firecracker, and whose fault each is.

use std::io;

use camino::Utf8PathBuf;
use engine::port::{Fault, PortError};

use crate::cgroup::CgroupError;
use crate::host::HostError;
use crate::jail::JailError;
use crate::jail::runtime::RuntimeError;
use crate::process::ProcessError;

use super::api::ApiError;

/// Why something could not be done with a Firecracker.
#[derive(Debug, thiserror::Error)]
pub enum FirecrackerError {
    /// The control group.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The jail.
    #[error(transparent)]
    Jail(#[from] JailError),
    /// The API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The runtime directory.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A file or directory.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A binary cannot be used.
    #[error("{binary} cannot be used: {reason}")]
    Unusable {
        /// The binary.
        binary: Utf8PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host has no KVM at all.
    #[error("Firecracker needs {device}, which this host lacks")]
    NoKvm {
        /// The device.
        device: Utf8PathBuf,
    },
    /// The snapshot is of a Firecracker that this host does not have.
    #[error("no Firecracker of this host has the binary {sha256}")]
    OtherVersion {
        /// SHA-256 of the binary that wrote the snapshot.
        sha256: String,
    },
    /// Firecracker ended while something was asked of it.
    #[error("{how}; its last words: {last_words:?}")]
    Ended {
        /// How it ended.
        how: String,
        /// The end of its log.
        last_words: String,
    },
    /// Nothing of this run lives.
    #[error("no Firecracker of this run lives")]
    Gone,
    /// Something of this run lives already.
    #[error("processes of this run exist already")]
    Exists,
    /// The guest is not in the state that a launch leaves it in.
    #[error("the guest is {state} after its launch")]
    State {
        /// What Firecracker says of it.
        state: String,
    },
}

impl FirecrackerError {
    /// The port's error for what was tried, in words.
    pub fn during(self, action: impl Into<String>) -> PortError {
        let fault = self.fault();
        PortError { action: action.into(), fault, source: Some(Box::new(self)) }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Api(ApiError::Silent { .. })
            | Self::Jail(JailError::Silent { .. })
            | Self::Cgroup(CgroupError::NotEmpty { .. }) => Fault::Deadline,
            Self::File { source, .. } if is_full(source.raw_os_error()) => Fault::NoRoom,
            Self::Jail(JailError::SetUp { os_error, .. }) if is_full(*os_error) => Fault::NoRoom,
            Self::OtherVersion { .. } => Fault::Refused,
            Self::Gone => Fault::Absent,
            Self::Cgroup(_)
            | Self::Jail(_)
            | Self::Api(_)
            | Self::Process(_)
            | Self::Runtime(_)
            | Self::Host(_)
            | Self::File { .. }
            | Self::Unusable { .. }
            | Self::NoKvm { .. }
            | Self::Ended { .. }
            | Self::Exists
            | Self::State { .. } => Fault::Internal,
        }
    }
}

fn is_full(os_error: Option<i32>) -> bool {
    matches!(os_error, Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM))
}
