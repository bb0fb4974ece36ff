//! The verbs for snapshots that are there.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::id::{MachineId, SnapshotId};
use serde::Serialize;

use super::shown::{ShownSnapshot, ShownSnapshots};
use crate::error::CliError;

/// Which snapshots to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListSnapshotsArguments {
    /// Only those of this machine, which may be gone.
    #[arg(long, short)]
    pub(crate) machine: Option<MachineId>,
}

/// Which snapshot to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowSnapshotArguments {
    /// The snapshot.
    pub(crate) snapshot: SnapshotId,
}

/// Which snapshots to delete.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeleteSnapshotArguments {
    /// The snapshots.
    #[arg(required = true)]
    pub(crate) snapshots: Vec<SnapshotId>,
}

/// Lists snapshots.
pub(super) async fn list(
    client: &Client,
    arguments: &ListSnapshotsArguments,
) -> Result<ShownSnapshots, CliError> {
    let snapshots = match &arguments.machine {
        Some(machine) => client.list_machine_snapshots(machine).await?,
        None => client.list_snapshots().await?,
    };
    Ok(ShownSnapshots { snapshots })
}

/// Shows a snapshot and its files.
pub(super) async fn show(
    client: &Client,
    arguments: &ShowSnapshotArguments,
) -> Result<ShownSnapshot, CliError> {
    Ok(ShownSnapshot(client.show_snapshot(&arguments.snapshot).await?))
}

/// The snapshots that are gone now.
#[derive(Debug, Serialize)]
pub(super) struct DeletedSnapshots {
    deleted: Vec<SnapshotId>,
}

/// Deletes snapshots, one after the other.
pub(super) async fn delete(
    client: &Client,
    arguments: &DeleteSnapshotArguments,
) -> Result<DeletedSnapshots, CliError> {
    for snapshot in &arguments.snapshots {
        client.delete_snapshot(snapshot).await?;
    }
    Ok(DeletedSnapshots { deleted: arguments.snapshots.clone() })
}

impl fmt::Display for DeletedSnapshots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for snapshot in &self.deleted {
            writeln!(formatter, "deleted snapshot {snapshot}")?;
        }
        Ok(())
    }
}
