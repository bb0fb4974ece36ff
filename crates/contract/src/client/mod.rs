//! A typed client for one host, over its Unix socket or over TCP with a bearer token.
//!
//! ```no_run
//! # async fn show() -> Result<(), contract::client::ClientError> {
//! use contract::client::Client;
//! use contract::endpoint::table::ListMachines;
//!
//! let client = Client::unix("/var/lib/computer/computerd.sock");
//! let machines = client.list_machines().await?; // or, in full:
//! let answer = client.call(ListMachines, &()).send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each call opens a connection of its own, has a deadline, and reads a bounded answer. Nothing is repeated here: a
//! caller that wants to repeat a request gives it an idempotency key.

mod artifact;
mod call;
mod chunked;
mod connection;
mod error;
mod exec;
mod file;
mod lazy;
mod methods;
mod mount;
mod storage;

use std::fmt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use http::header::InvalidHeaderValue;

use crate::secret::Secret;

pub use artifact::{ByteRange, ByteStream};
pub use call::{Answer, Call};
pub use error::{ClientError, Refusal};
pub use exec::{ExecConnection, ExecReceived, ExecReceiver, ExecSender, KEEP_ALIVE};
pub use file::{Changes, Content};
pub use methods::{QUICK, TRANSFER, USUAL};

/// A client for one host.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    authorization: Option<HeaderValue>,
}

/// Where a host listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On a Unix socket.
    Unix(PathBuf),
    /// On a TCP port, as `host:port`.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "{}", path.display()),
            Self::Tcp(authority) => formatter.write_str(authority),
        }
    }
}

impl Client {
    /// A client for the host that listens at `address`.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, authorization: None }
    }

    /// A client for the host that listens on a Unix socket.
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::new(Address::Unix(path.as_ref().to_owned()))
    }

    /// A client for the host that listens on a TCP port, given as `host:port`.
    pub fn tcp(authority: impl Into<String>) -> Self {
        Self::new(Address::Tcp(authority.into()))
    }

    /// The same client, showing a bearer token with every request.
    ///
    /// # Errors
    /// When the token cannot stand in a header.
    pub fn with_token(mut self, token: &Secret) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Where the host listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}
