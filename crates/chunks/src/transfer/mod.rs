//! Bytes to and from object stores through pre-signed URLs: bounded, retried, verified.
//!
//! ```text
//!   upload:   check coverage of every artifact -> recall what is done -> PUT the rest, N at once
//!             -> keep each part -> ETags in part order
//!   download: <target>.part -> ranges of data chunks, N at once -> verify, write -> sync -> rename
//!   fetch:    one stream into <target>.part -> size and digest -> sync -> rename
//! ```
//! An attempt that fails for a passing reason (a connection, a timeout, 408, 429, 5xx) is made
//! again after a jittered pause; anything else is the end, with the reason.

mod body;
mod client;
mod content_range;
mod coverage;
mod download;
mod error;
mod fetch;
mod part;
mod progress;
mod range;
mod ranges;
mod refusal;
mod retry;
mod scratch;
mod send;
mod span;
mod tasks;
mod upload;
mod url;

pub use client::TransferClient;
pub use coverage::{CoverageError, Part, PartRequest, check_coverage};
pub use download::{Downloaded, Expected};
pub use error::{ResponseProblem, TransferError, TransferErrorKind};
pub use fetch::Fetched;
pub use progress::{FinishedPart, KeepPart, ProgressError, UploadProgress};
pub use scratch::Durability;
pub use send::MissingParts;
pub use upload::{ArtifactUpload, UploadedArtifact, UploadedPart};
pub use url::{ParseUrlError, SecretUrl};
