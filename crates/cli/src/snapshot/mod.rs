//! `computer snapshot`: take, move and restore snapshots.

mod chunked;
mod chunked_index;
mod create;
mod index;
mod list;
mod parts;
mod restore;
mod shown;
mod tree;
mod upload;
mod working_set;

use clap::{Args, Subcommand};
use contract::client::Client;

use crate::error::CliError;
use crate::output::Output;

pub(crate) use create::CreateSnapshotArguments;
pub(crate) use list::{DeleteSnapshotArguments, ListSnapshotsArguments, ShowSnapshotArguments};
pub(crate) use restore::RestoreArguments;
pub(crate) use upload::UploadArguments;
pub(crate) use working_set::WorkingSetArguments;

/// What to do with snapshots.
#[derive(Debug, Clone, Args)]
pub(crate) struct SnapshotArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: SnapshotCommand,
}

/// What can be done with snapshots.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Take a snapshot of a machine: its memory, devices and disks, at one instant.
    Create(CreateSnapshotArguments),
    /// List snapshots.
    #[command(visible_alias = "ls")]
    List(ListSnapshotsArguments),
    /// Show which snapshot came of which: each stands beneath the one that its machine was restored from.
    Tree,
    /// Show a snapshot and its files.
    Show(ShowSnapshotArguments),
    /// Send a snapshot to an object store.
    Upload(UploadArguments),
    /// Make a machine that goes on from a snapshot, of this host or of an object store.
    Restore(Box<RestoreArguments>),
    /// Keep beside a snapshot in an object store what a lazily restored machine touched first.
    WorkingSet(WorkingSetArguments),
    /// Delete snapshots from this host.
    #[command(visible_alias = "rm")]
    Delete(DeleteSnapshotArguments),
}

/// Does what the arguments ask and prints the answer.
pub(crate) async fn run(
    client: &Client,
    arguments: SnapshotArguments,
    output: Output,
) -> Result<(), CliError> {
    match arguments.command {
        SnapshotCommand::Create(arguments) => {
            output.print(&create::create(client, arguments).await?)
        }
        SnapshotCommand::List(arguments) => output.print(&list::list(client, &arguments).await?),
        SnapshotCommand::Tree => output.print(&tree::tree(client).await?),
        SnapshotCommand::Show(arguments) => output.print(&list::show(client, &arguments).await?),
        SnapshotCommand::Upload(arguments) => match arguments.chunked {
            true => output.print(&upload::upload_chunked(client, &arguments).await?),
            false => output.print(&upload::upload(client, &arguments).await?),
        },
        SnapshotCommand::Restore(arguments) => {
            output.print(&restore::restore(client, *arguments).await?)
        }
        SnapshotCommand::WorkingSet(arguments) => {
            output.print(&working_set::keep(client, &arguments).await?)
        }
        SnapshotCommand::Delete(arguments) => {
            output.print(&list::delete(client, &arguments).await?)
        }
    }
}
