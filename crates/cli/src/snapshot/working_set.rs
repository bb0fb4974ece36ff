//! `computer snapshot working-set`: keep beside a snapshot what a machine restored from it touched first.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::id::{MachineId, SnapshotId};
use contract::lazy::Touched;
use serde::Serialize;

use crate::error::CliError;
use crate::object_store::{BucketUrl, ObjectStore, StoreArguments};

const FILE_NAME: &str = "working-set.json";

/// Which machine's touches are kept beside which snapshot.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  computer snapshot restore --snapshot-id box.before --machine-id box-2 --bucket s3://backups --chunked --lazy
  computer snapshot working-set box.before --machine-id box-2 --bucket s3://backups

Later lazy restores from that bucket fetch in this order what the first one had to wait for.")]
pub(crate) struct WorkingSetArguments {
    /// The snapshot in the bucket.
    pub(crate) snapshot: SnapshotId,
    /// A machine that was restored from it lazily, and does by now what it is restored for.
    #[arg(long, value_name = "ID")]
    pub(crate) machine_id: MachineId,
    /// Where the snapshot is.
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// What was kept.
#[derive(Debug, Serialize)]
pub(super) struct ShownWorkingSet {
    snapshot_id: SnapshotId,
    chunks: u64,
}

impl fmt::Display for ShownWorkingSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { snapshot_id, chunks } = self;
        write!(formatter, "kept the working set of snapshot {snapshot_id}: {chunks} chunks")
    }
}

/// Keeps the touches so far, over those of an earlier restore.
pub(super) async fn keep(
    client: &Client,
    arguments: &WorkingSetArguments,
) -> Result<ShownWorkingSet, CliError> {
    let touched = client.show_filling(&arguments.machine_id).await?.touched;
    let bucket = &arguments.store.bucket;
    let store = ObjectStore::open(&arguments.store.settings, bucket)?;
    let bytes = serde_json::to_vec(&touched).map_err(CliError::PrintJson)?;
    store.write(&bucket.key(&arguments.snapshot, FILE_NAME), bytes).await?;
    let chunks = touched.iter().map(|touched| touched.chunk_count).sum();
    Ok(ShownWorkingSet { snapshot_id: arguments.snapshot.clone(), chunks })
}

/// The working set beside a snapshot; none where none was kept. One that is not understood is left out: it costs time alone.
pub(super) async fn read(
    store: &ObjectStore,
    bucket: &BucketUrl,
    snapshot: &SnapshotId,
) -> Result<Vec<Touched>, CliError> {
    match store.read(&bucket.key(snapshot, FILE_NAME)).await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.is_absent() => Ok(vec![]),
        Err(error) => Err(error.into()),
    }
}
