//! Why a call to an agent failed.

use std::io;
use std::time::Duration;

use crate::framing::HelloError;

/// Decide on the variant, and for [`ClientError::Refused`] on its code; never on text.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No channel to the agent: the VMM's socket is not there, or its listener went away.
    #[error("connect to the agent at {target}")]
    Connect {
        /// The socket.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// The VMM's socket is there, but no agent answered through it.
    #[error("start a channel session at {target}")]
    Hello {
        /// The socket.
        target: String,
        /// What was missing.
        source: HelloError,
    },
    /// HTTP/2 could not be spoken over the channel.
    #[error("speak HTTP/2 to the agent at {target}")]
    Http2 {
        /// The socket.
        target: String,
        /// What hyper said.
        source: hyper::Error,
    },
    /// The agent speaks another version of the protocol.
    #[error("the agent speaks protocol {agent}, this host {host}")]
    Version {
        /// The agent's version.
        agent: u32,
        /// Ours.
        host: u32,
    },
    /// The call did not end in time. It may have had its effect.
    #[error("{operation} did not end within {} ms", deadline.as_millis())]
    Deadline {
        /// The call.
        operation: &'static str,
        /// What it was given.
        deadline: Duration,
    },
    /// The channel broke during the call, which may have had its effect.
    #[error("the agent channel broke during {operation}")]
    Broken {
        /// The call.
        operation: &'static str,
        /// What tonic said.
        source: Box<tonic::Status>,
    },
    /// The agent answered with a refusal or a failure of its own.
    #[error("the agent refused {operation} ({code:?}): {message}")]
    Refused {
        /// The call.
        operation: &'static str,
        /// Its class: `NotFound`, `InvalidArgument`, `FailedPrecondition`, `ResourceExhausted`, ...
        code: tonic::Code,
        /// For people.
        message: String,
    },
    /// The agent's answer lacks what the protocol demands; a hostile or broken guest.
    #[error("the agent's answer to {operation} makes no sense: {reason}")]
    Answer {
        /// The call.
        operation: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl ClientError {
    /// A new connection may cure it: the same call can be made again when it is repeatable.
    pub fn is_broken_channel(&self) -> bool {
        matches!(
            self,
            ClientError::Connect { .. }
                | ClientError::Hello { .. }
                | ClientError::Http2 { .. }
                | ClientError::Broken { .. }
        )
    }

    /// The agent's code, where it answered.
    pub fn code(&self) -> Option<tonic::Code> {
        match self {
            ClientError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Tells a broken channel from an answer: tonic makes a status of a connection's end too, with its cause as the
    /// source, or as one of three codes that an agent answers with only when a stream was reset under it.
    pub(super) fn from_status(operation: &'static str, status: tonic::Status) -> ClientError {
        use tonic::Code::{Cancelled, Unavailable, Unknown};
        if std::error::Error::source(&status).is_some() {
            return ClientError::Broken { operation, source: Box::new(status) };
        }
        match status.code() {
            Unavailable | Unknown | Cancelled => {
                ClientError::Broken { operation, source: Box::new(status) }
            }
            code => ClientError::Refused { operation, code, message: shortened(status.message()) },
        }
    }
}

/// A guest's words in our errors stay short, and without control characters.
fn shortened(message: &str) -> String {
    const MOST_CHARACTERS: usize = 500;
    message.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()
}
