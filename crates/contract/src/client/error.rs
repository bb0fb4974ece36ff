//! What can go wrong between a client and a host.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::Address;
use crate::error::{ErrorBody, ErrorCode, PartialOutput};
use crate::exec_stream::FrameError;
use crate::id::OperationId;

/// Why a call was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The host does not listen.
    #[error("connect to the host at {address}")]
    Connect {
        /// Where it should listen.
        address: Address,
        /// Why it could not be reached.
        source: std::io::Error,
    },
    /// The connection broke, or what came over it was no HTTP.
    #[error("{call}: the connection to the host broke")]
    Transport {
        /// The call.
        call: &'static str,
        /// What went wrong.
        source: hyper::Error,
    },
    /// The answer took too long. The host may still be at it: look at its operations.
    #[error("{call}: no answer within {} s", .after.as_secs())]
    Deadline {
        /// The call.
        call: &'static str,
        /// The deadline it had.
        after: Duration,
    },
    /// The host refused or failed, and said so as the contract says.
    #[error("{} ({} {})", .0.message, .0.status.as_u16(), .0.code)]
    Refused(Box<Refusal>),
    /// The answer is not one that the contract knows.
    #[error("{call}: an answer with status {status} that is not of this contract")]
    Unexpected {
        /// The call.
        call: &'static str,
        /// Its status.
        status: StatusCode,
        /// Why it could not be read, where that says something.
        source: Option<serde_json::Error>,
    },
    /// The request cannot be written as JSON.
    #[error("{call}: write the request")]
    Encode {
        /// The call.
        call: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// The request cannot be written as HTTP.
    #[error("{call}: write the request")]
    Request {
        /// The call.
        call: &'static str,
        /// Why not.
        source: http::Error,
    },
    /// The answer is longer than this client reads.
    #[error("{call}: the answer is longer than {limit_bytes} bytes")]
    TooLong {
        /// The call.
        call: &'static str,
        /// How much is read.
        limit_bytes: usize,
    },
    /// The WebSocket broke.
    #[error("the connection to the command broke")]
    WebSocket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// A message over the WebSocket is not one that the contract knows.
    #[error("a message of the command cannot be read")]
    Message(#[source] serde_json::Error),
    /// A binary message over the WebSocket is not one that the contract knows.
    #[error("a message of the command cannot be read")]
    Frame(#[source] FrameError),
}

/// What a host said when it did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub message: String,
    /// The operation that failed, where one exists.
    pub operation_id: Option<OperationId>,
    /// What a command that ran out of time had written.
    pub partial: Option<PartialOutput>,
    /// After how long to ask again, where the host says so.
    pub retry_after: Option<Duration>,
}

impl ClientError {
    /// The refusal, when it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The code with which the host refused, when it did.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.refusal().map(|refusal| refusal.code)
    }

    /// Reads an answer that is not a success.
    pub(super) fn of_answer(
        call: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => Self::Refused(Box::new(Refusal {
                status,
                code: body.code,
                message: body.error,
                operation_id: body.operation_id,
                partial: body.partial,
                retry_after: retry_after(headers),
            })),
            Err(error) => Self::Unexpected { call, status, source: Some(error) },
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}
