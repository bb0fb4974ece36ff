//! Why a request to Firecracker brought nothing.

use std::io;
use std::time::Duration;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The socket could not be reached.
    #[error("connect to Firecracker's API")]
    Connect(#[source] io::Error),
    /// No answer in time.
    #[error("Firecracker did not answer {request} for {} ms", deadline.as_millis())]
    Silent {
        /// Method and path.
        request: String,
        /// The deadline.
        deadline: Duration,
    },
    /// The connection broke: mostly because Firecracker has ended.
    #[error("the connection broke during {request}")]
    Broken {
        /// Method and path.
        request: String,
        /// Why.
        source: hyper::Error,
    },
    /// Firecracker refused, and said why.
    #[error("Firecracker refused {request} with status {status}: {fault_message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// Its `fault_message`.
        fault_message: String,
    },
    /// The answer is not as its document says: whatever listens there is no Firecracker.
    #[error("the answer to {request} makes no sense: {reason}")]
    Nonsense {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
}
