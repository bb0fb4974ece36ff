//! `computer store`: the chunks of this host's snapshots, looked at and cleaned up.

use std::fmt;

use clap::{Args, Subcommand};
use contract::chunked::{CheckChunksAnswer, CollectChunksAnswer};
use contract::client::Client;
use serde::Serialize;

use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::output::Output;

/// What to do with the chunks of this host.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChunkStoreArguments {
    /// What to do.
    #[command(subcommand)]
    command: ChunkStoreCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ChunkStoreCommand {
    /// Read and hash every pack, and say what is wrong.
    Fsck,
    /// Take away the packs that no snapshot needs.
    Gc,
}

#[derive(Debug, Serialize)]
struct ShownCheck(CheckChunksAnswer);

impl fmt::Display for ShownCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0.problems {
            writeln!(formatter, "{problem}")?;
        }
        let (packs, size) = (self.0.packs, ByteSize::from_bytes(self.0.bytes));
        write!(formatter, "{packs} packs, {size}: {} problems", self.0.problems.len())
    }
}

#[derive(Debug, Serialize)]
struct ShownCollection(CollectChunksAnswer);

impl fmt::Display for ShownCollection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "took away {} sets of packs that no snapshot needs", self.0.removed_sets)
    }
}

/// Does what the arguments ask and prints the answer; whether all is well.
pub(crate) async fn run(
    client: &Client,
    arguments: ChunkStoreArguments,
    output: Output,
) -> Result<bool, CliError> {
    match arguments.command {
        ChunkStoreCommand::Fsck => {
            let check = client.check_chunks().await?;
            let is_well = check.problems.is_empty();
            output.print(&ShownCheck(check))?;
            Ok(is_well)
        }
        ChunkStoreCommand::Gc => {
            output.print(&ShownCollection(client.collect_chunks().await?))?;
            Ok(true)
        }
    }
}
