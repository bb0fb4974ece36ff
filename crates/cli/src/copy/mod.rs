//! `computer cp`: files and directories between this host and a machine, and archives through pipes.
//!
//! ```text
//!  a file       <-> its bytes          a directory <-> a tar archive, made or unpacked on a thread as it flows
//!  `-`          <-> a tar archive, as it is
//! ```
//! Nothing is held whole, on either side.

mod arguments;
mod inward;
mod outward;
mod pipe;
mod place;

use std::fmt;

use contract::client::Client;
use serde::Serialize;

use crate::error::CliError;

pub(crate) use arguments::CopyArguments;
pub(crate) use place::Place;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Copied {
    /// Where to.
    pub(crate) to: String,
    /// How many bytes went over the wire.
    pub(crate) bytes: u64,
}

impl fmt::Display for Copied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} bytes)", self.to, self.bytes)
    }
}

/// Copies; `None` when standard output holds what was copied.
pub(crate) async fn run(
    client: &Client,
    arguments: CopyArguments,
) -> Result<Option<Copied>, CliError> {
    match (arguments.from, arguments.to) {
        (Place::Machine(from), Place::Local(to)) => {
            outward::copy(client, &from, &to).await.map(Some)
        }
        (Place::Machine(from), Place::Pipe) => outward::pipe(client, &from).await.map(|()| None),
        (Place::Local(from), Place::Machine(to)) => {
            inward::copy(client, &from, &to).await.map(Some)
        }
        (Place::Pipe, Place::Machine(to)) => inward::pipe(client, &to).await.map(Some),
        (Place::Local(_) | Place::Pipe, Place::Local(_) | Place::Pipe)
        | (Place::Machine(_), Place::Machine(_)) => Err(CliError::CopyPlaces),
    }
}
