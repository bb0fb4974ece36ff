//! What goes into an image: two profiles.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A Debian to work in: SSH on port 2222, sudo, git, Python, the user `node` with a workspace.
    Default,
    /// A shell and the core utilities, for tests: boots fastest.
    Minimal,
}

/// How much of Debian's packaging a profile uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installation {
    /// Packages are installed: maintainer scripts run, and `apt` works in the guest.
    Installed,
    /// Packages are only unpacked: quicker and smaller.
    Unpacked,
}

const DEFAULT_PACKAGES: &[&str] = &[
    "ca-certificates",
    "curl",
    "fuse3",
    "git",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "openssh-server",
    "procps",
    "python3-minimal",
    "rclone",
    "sudo",
];

const MINIMAL_PACKAGES: &[&str] = &["base-files", "bash", "busybox-static", "coreutils", "dash"];

impl Profile {
    /// The packages beside Debian's base system.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Default => DEFAULT_PACKAGES,
            Self::Minimal => MINIMAL_PACKAGES,
        }
    }

    /// How its packages get in.
    pub(crate) fn installation(self) -> Installation {
        match self {
            Self::Default => Installation::Installed,
            Self::Minimal => Installation::Unpacked,
        }
    }

    /// The size of its root file system unless another is asked for. A machine's disk can be larger: the agent grows the file system.
    pub(crate) fn root_size(self) -> ByteSize {
        match self {
            Self::Default => ByteSize::from_mib(1024),
            Self::Minimal => ByteSize::from_mib(256),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "default",
            Self::Minimal => "minimal",
        })
    }
}

impl Installation {
    /// The variant of mmdebstrap.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Installed => "minbase",
            Self::Unpacked => "extract",
        }
    }
}
