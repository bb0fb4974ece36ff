//! `computer mount`: buckets as directories of machines.

mod add;
mod shown;

use clap::{Args, Subcommand};
use contract::client::Client;
use contract::id::{MachineId, MountId};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;

use add::AddArguments;
use shown::ShownMounts;

const EXAMPLES: &str = "\
Examples:
  A bucket that the machine may only read, with credentials from the environment:
    export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...
    computer mount add box s3 /mnt/data --bucket data --endpoint https://s3.eu-central-1.amazonaws.com --read-only
    computer mount list box
    computer exec box -- ls /mnt/data

  Take it away again:
    computer mount remove box data

A mount outlives restarts of its machine. In a restored machine it is mounted again from what the machine was given.";

/// What to do with mounts.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct MountArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: MountCommand,
}

/// What can be done with mounts.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MountCommand {
    /// Mount a bucket in a machine.
    Add(Box<AddArguments>),
    /// List the mounts of a machine, and how far each has come.
    #[command(visible_alias = "ls")]
    List(MachineArguments),
    /// Take mounts away; what is in the bucket stays.
    #[command(visible_alias = "rm")]
    Remove(RemoveArguments),
}

/// A machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct MachineArguments {
    /// The machine.
    pub(crate) machine: MachineId,
}

/// Which mounts to take away.
#[derive(Debug, Clone, Args)]
pub(crate) struct RemoveArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The mounts.
    #[arg(required = true)]
    pub(crate) mounts: Vec<MountId>,
}

/// The mounts that are gone now.
#[derive(Debug, Serialize)]
struct RemovedMounts {
    removed: Vec<MountId>,
}

/// Does what the arguments ask and prints the answer.
pub(crate) async fn run(
    client: &Client,
    arguments: MountArguments,
    output: Output,
) -> Result<(), CliError> {
    match arguments.command {
        MountCommand::Add(arguments) => output.print(&add::add(client, *arguments).await?),
        MountCommand::List(arguments) => {
            let mounts = client.list_mounts(&arguments.machine).await?;
            output.print(&ShownMounts { mounts })
        }
        MountCommand::Remove(arguments) => {
            for mount in &arguments.mounts {
                client.delete_mount(&arguments.machine, mount).await?;
            }
            output.print(&RemovedMounts { removed: arguments.mounts })
        }
    }
}

impl std::fmt::Display for RemovedMounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.removed.iter().try_for_each(|mount| writeln!(formatter, "removed mount {mount}"))
    }
}
