//! What can go wrong with a QEMU, and whose fault each is.

use std::io;

use camino::Utf8PathBuf;
use engine::port::{Fault, PortError};

use crate::cgroup::CgroupError;
use crate::host::HostError;
use crate::jail::JailError;
use crate::jail::runtime::RuntimeError;
use crate::process::ProcessError;

use super::qmp::{QmpError, VmStatus};

/// Why something could not be done with a QEMU.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// The control group.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The jail.
    #[error(transparent)]
    Jail(#[from] JailError),
    /// The monitor.
    #[error(transparent)]
    Monitor(#[from] QmpError),
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
    /// QEMU lacks something, or is none.
    #[error("{binary} is no QEMU that runs microvm: {reason}")]
    Unusable {
        /// The binary.
        binary: Utf8PathBuf,
        /// What is missing.
        reason: String,
    },
    /// KVM was asked for, and no hardware stands behind it.
    #[error("KVM is configured, but this host has no hardware virtualisation")]
    NoHardware,
    /// QEMU ended while something was asked of it.
    #[error("{how}; its last words: {last_words:?}")]
    Ended {
        /// How it ended.
        how: String,
        /// The end of its standard error.
        last_words: String,
    },
    /// Device state is read from a paused guest only.
    #[error("the guest is not paused but {status:?}")]
    NotPaused {
        /// What it is.
        status: VmStatus,
    },
    /// Something of this run lives already.
    #[error("processes of this run exist already")]
    Exists,
    /// More disks than the machine has places for.
    #[error("{disks} disks do not fit; at most {maximum} user disks do beside the root disk")]
    Disks {
        /// How many were asked for.
        disks: usize,
        /// How many user disks fit.
        maximum: usize,
    },
}

impl QemuError {
    /// The port's error for what was tried, in words.
    pub fn during(self, action: impl Into<String>) -> PortError {
        let fault = self.fault();
        PortError { action: action.into(), fault, source: Some(Box::new(self)) }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Monitor(QmpError::Silent { .. })
            | Self::Jail(JailError::Silent { .. })
            | Self::Cgroup(CgroupError::NotEmpty { .. }) => Fault::Deadline,
            Self::File { source, .. } if is_full(source.raw_os_error()) => Fault::NoRoom,
            Self::Jail(JailError::SetUp { os_error, .. }) if is_full(*os_error) => Fault::NoRoom,
            Self::Disks { .. } => Fault::Refused,
            Self::Cgroup(_)
            | Self::Jail(_)
            | Self::Monitor(_)
            | Self::Process(_)
            | Self::Runtime(_)
            | Self::Host(_)
            | Self::File { .. }
            | Self::Unusable { .. }
            | Self::NoHardware
            | Self::Ended { .. }
            | Self::NotPaused { .. }
            | Self::Exists => Fault::Internal,
        }
    }
}

fn is_full(os_error: Option<i32>) -> bool {
    matches!(os_error, Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM))
}
