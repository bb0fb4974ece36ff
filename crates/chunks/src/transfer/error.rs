//! What can go wrong in a transfer, whose fault it is, and whether trying again can help.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::coverage::CoverageError;
use super::progress::ProgressError;
use super::url::SecretUrl;
use crate::digest::Sha256Digest;
use crate::files::{DurableError, Sha256Error};

/// A transfer that did not finish, and why (promise P12).
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The parts do not cover the file exactly; nothing was sent.
    #[error("the parts of {artifact} do not cover it")]
    Coverage {
        /// Which artifact.
        artifact: crate::ArtifactId,
        /// Why not.
        source: CoverageError,
    },
    /// The store refused for good: an expired signature, an absent object.
    #[error("{url} refused with status {status}: {reason}")]
    Refused {
        /// Whom we asked.
        url: SecretUrl,
        /// What it answered.
        status: u16,
        /// The code and message of its answer, if it had them.
        reason: String,
    },
    /// The store cannot answer now.
    #[error("{url} answered status {status}: {reason}")]
    Unavailable {
        /// Whom we asked.
        url: SecretUrl,
        /// What it answered.
        status: u16,
        /// The code and message of its answer, if it had them.
        reason: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke.
    #[error("talk to {url}")]
    Connection {
        /// With whom.
        url: SecretUrl,
        /// How it failed, without the URL.
        source: reqwest::Error,
    },
    /// One request took too long, or nothing came for too long.
    #[error("{url} was silent or not done after {timeout:?}")]
    Timeout {
        /// Whom we asked.
        url: SecretUrl,
        /// The limit.
        timeout: Duration,
    },
    /// An answer that is not what was asked for.
    #[error("{url} answered wrongly: {problem}")]
    Response {
        /// Whom we asked.
        url: SecretUrl,
        /// In what.
        problem: ResponseProblem,
    },
    /// A chunk that is not the one that was sealed. None of its bytes were kept.
    #[error("{url} delivered other bytes than were sealed, in the chunk at byte {offset_bytes}")]
    CorruptChunk {
        /// Who delivered them.
        url: SecretUrl,
        /// Where the chunk begins.
        offset_bytes: u64,
    },
    /// A whole artifact that is not the one expected. It was removed.
    #[error("{url} delivered SHA-256 {found}, expected {expected}")]
    CorruptArtifact {
        /// Who delivered it.
        url: SecretUrl,
        /// What was expected.
        expected: Sha256Digest,
        /// What came.
        found: Sha256Digest,
    },
    /// More redirects than allowed, or one to where we do not go.
    #[error("{url} redirects too often, or to where it must not")]
    Redirect {
        /// The URL that answered the last redirect.
        url: SecretUrl,
    },
    /// The whole call took too long.
    #[error("not finished after {timeout:?}")]
    Deadline {
        /// The limit.
        timeout: Duration,
    },
    /// Tried as often as allowed.
    #[error("gave up after {attempts} attempts")]
    GaveUp {
        /// How often.
        attempts: u32,
        /// The last failure.
        source: Box<TransferError>,
    },
    /// A local file could not be read or written.
    #[error("{operation} {path}")]
    Local {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A local file did not become durable.
    #[error("make the file durable")]
    Durable(#[from] DurableError),
    /// A local file could not be hashed.
    #[error("hash what was downloaded")]
    Sha256(#[from] Sha256Error),
    /// The caller could not keep or recall progress.
    #[error("keep the upload's progress")]
    Progress(#[source] ProgressError),
    /// The HTTP client could not be made.
    #[error("make the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A task of ours ended early.
    #[error("a transfer task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// In what an answer is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseProblem {
    /// A stored part without the tag that completes a multipart upload.
    #[error("no ETag, or one that is not visible text")]
    MissingEtag,
    /// A success that is none for this request, such as 204 to a GET.
    #[error("unexpected status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The whole object, though a part from further on was asked for.
    #[error("the whole object to a request for a range")]
    RangeIgnored,
    /// Another range, or none that can be read.
    #[error("content range {found:?} to a request for bytes {first}-{last}")]
    WrongRange {
        /// First byte asked for.
        first: u64,
        /// Last byte asked for.
        last: u64,
        /// The header as it came, cut to a bounded length.
        found: Option<String>,
    },
    /// An object of another size than the manifest or the caller said.
    #[error("an object of {found_bytes} bytes, expected {expected_bytes}")]
    WrongSize {
        /// What it should have.
        expected_bytes: u64,
        /// What it has.
        found_bytes: u64,
    },
    /// A body that ended early.
    #[error("a body of {found_bytes} bytes, expected {expected_bytes}")]
    Truncated {
        /// What should have come.
        expected_bytes: u64,
        /// What came.
        found_bytes: u64,
    },
    /// A body that goes on past its end.
    #[error("a body longer than {limit_bytes} bytes")]
    TooLong {
        /// Where it should have ended.
        limit_bytes: u64,
    },
}

/// Whose fault it is, for whoever maps errors to statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferErrorKind {
    /// The caller's: a request that cannot be carried out as it is.
    Invalid,
    /// The object store's or the network's.
    Upstream,
    /// Nobody's: time is up.
    Deadline,
    /// This host has no room left.
    NoRoom,
    /// This host's otherwise.
    Local,
}

impl TransferError {
    pub(super) fn local(
        operation: &'static str,
        path: &Utf8Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Local { operation, path, source }
    }

    pub(super) fn connection(url: &SecretUrl) -> impl FnOnce(reqwest::Error) -> Self {
        let url = url.clone();
        move |source| Self::Connection { url, source: source.without_url() }
    }

    pub(super) fn response(url: &SecretUrl, problem: ResponseProblem) -> Self {
        Self::Response { url: url.clone(), problem }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> TransferErrorKind {
        match self {
            Self::Coverage { .. } => TransferErrorKind::Invalid,
            Self::Refused { .. }
            | Self::Unavailable { .. }
            | Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::Response { .. }
            | Self::CorruptChunk { .. }
            | Self::CorruptArtifact { .. }
            | Self::Redirect { .. } => TransferErrorKind::Upstream,
            Self::Deadline { .. } => TransferErrorKind::Deadline,
            Self::GaveUp { source, .. } => source.kind(),
            Self::Local { source, .. } | Self::Durable(DurableError::Io { source, .. }) => {
                local_kind(source)
            }
            Self::Durable(DurableError::Exists { .. })
            | Self::Sha256(_)
            | Self::Progress(_)
            | Self::Client(_)
            | Self::Task(_) => TransferErrorKind::Local,
        }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } => true,
            Self::Connection { source, .. } => !source.is_builder(),
            Self::Response { problem, .. } => matches!(problem, ResponseProblem::Truncated { .. }),
            _ => false,
        }
    }

    /// How long the other side asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn local_kind(error: &io::Error) -> TransferErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => TransferErrorKind::NoRoom,
        _ => TransferErrorKind::Local,
    }
}
