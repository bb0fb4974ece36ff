//! Why an object store did not do what was asked.

use rusty_s3::BucketError;

/// Why an object store did not do what was asked. No variant holds a signed URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The environment holds no credentials.
    #[error("no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    NoCredentials,
    /// The bucket and the endpoint do not go together.
    #[error("the bucket cannot be reached at this endpoint")]
    Bucket(#[source] BucketError),
    /// No HTTP client can be made.
    #[error("prepare an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The store could not be asked, or broke off.
    #[error("{action} {key} in the object store")]
    Request {
        /// What was asked.
        action: &'static str,
        /// Of which object.
        key: String,
        /// What went wrong; its URL is taken out.
        source: reqwest::Error,
    },
    /// The store refused.
    #[error("{action} {key} in the object store: it answers {status}{said}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// Of which object.
        key: String,
        /// The status of its answer.
        status: u16,
        /// What it says besides, with what leads up to it.
        said: String,
    },
    /// The store's answer cannot be read.
    #[error("{action} {key} in the object store: its answer cannot be read")]
    Answer {
        /// What was asked.
        action: &'static str,
        /// Of which object.
        key: String,
    },
    /// The object is longer than it can be.
    #[error("{key} in the object store is longer than {limit_bytes} bytes")]
    TooLong {
        /// Which object.
        key: String,
        /// How long it can be.
        limit_bytes: usize,
    },
    /// There is no snapshot in the store.
    #[error("there is no snapshot at {key} in the object store")]
    NoIndex {
        /// Where its index should be.
        key: String,
    },
    /// The index of a snapshot is not one.
    #[error("{key} in the object store is not the index of a snapshot")]
    Index {
        /// Which object.
        key: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// The index of a snapshot is of another version, or of another snapshot.
    #[error("{key} in the object store is not the index that was looked for: {reason}")]
    WrongIndex {
        /// Which object.
        key: String,
        /// Why not.
        reason: String,
    },
    /// A signed URL is not one that the daemon takes.
    #[error("sign {key}")]
    Sign {
        /// Which object.
        key: String,
        /// Why not.
        source: contract::location::LocationError,
    },
}

impl StoreError {
    /// Whether the object is simply not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
