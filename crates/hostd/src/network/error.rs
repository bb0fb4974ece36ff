//! What can go wrong between the daemon and the kernel's networking.

use std::{io, process::ExitStatus, time::Duration};

use camino::Utf8PathBuf;
use engine::port::{Fault, PortError};

/// A failed effect on the host's network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A named network namespace could not be made, entered, looked at or removed.
    #[error("{action} network namespace {name}")]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// The namespace.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A thread for work in a namespace could not be started.
    #[error("start a thread for network namespace {subject}")]
    Thread {
        /// The namespace.
        subject: String,
        /// Why not.
        source: io::Error,
    },
    /// The thread that worked in a namespace panicked; its message is in the log.
    #[error("the thread for network namespace {subject} panicked")]
    ThreadPanicked {
        /// The namespace.
        subject: String,
    },
    /// Something took longer than it may.
    #[error("{action} on {subject} took longer than {limit:?}")]
    Deadline {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// How long it may take.
        limit: Duration,
    },
    /// No netlink socket could be opened.
    #[error("open a netlink socket")]
    NetlinkSocket {
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses, routes or neighbours.
    #[error("{action} on interface {interface}")]
    Netlink {
        /// What was tried.
        action: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        source: Box<rtnetlink::Error>,
    },
    /// An interface that must be there is not.
    #[error("there is no interface {interface}")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The tap could not be made.
    #[error("make tap {name}")]
    Tap {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A kernel setting could not be read or changed.
    #[error("{action} kernel setting {path}")]
    Setting {
        /// What was tried.
        action: &'static str,
        /// The file under /proc/sys.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `nft` could not be run.
    #[error("run {program}")]
    NftRun {
        /// The program.
        program: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `nft` refused what it was given; nothing was changed.
    #[error("nft refused the rules of {subject} ({status}): {message}")]
    NftRefused {
        /// Whose rules.
        subject: String,
        /// How it ended.
        status: ExitStatus,
        /// The first lines it wrote.
        message: String,
    },
    /// A rule set could not be written as JSON, or what `nft` printed could not be read.
    #[error("{action} nft JSON")]
    NftJson {
        /// Written or read.
        action: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// The async runtime of a namespace thread could not be made.
    #[error("make a runtime for network namespace {subject}")]
    Runtime {
        /// The namespace.
        subject: String,
        /// Why not.
        source: io::Error,
    },
    /// The host cannot carry machines as configured.
    #[error("check the configuration against the host")]
    Refused {
        /// Why not.
        #[from]
        source: super::facts::Refusal,
    },
    /// A file with the host's resolvers could not be read.
    #[error("read {path}")]
    Resolvers {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl NetworkError {
    /// The error as the engine sees it, under the operation that failed.
    pub(super) fn into_port(self, action: String) -> PortError {
        let fault = match &self {
            Self::Deadline { .. } => Fault::Deadline,
            _ => Fault::Internal,
        };
        PortError { action, fault, source: Some(Box::new(self)) }
    }
}
