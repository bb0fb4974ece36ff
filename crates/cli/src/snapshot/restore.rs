//! `computer snapshot restore`: make a machine that goes on from a snapshot, of this host or of an object store.

use std::path::PathBuf;

use clap::Args;
use contract::client::Client;
use contract::endpoint::table::RestoreSnapshot;
use contract::id::{MachineId, SnapshotId};
use contract::lazy::LazyRestore;
use contract::machine::ArtifactRef;
use contract::operation::IdempotencyKey;
use contract::restore::{
    DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource, Verify,
};
use contract::{PresignedUrl, SnapshotArtifact};

use super::chunked;
use super::index::SnapshotIndex;
use super::working_set;
use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::machine::{ArtifactArguments, GuestArguments, ShownMachine, WaitArguments, running};
use crate::object_store::{BucketUrl, ObjectStore, RestoreStoreArguments, StoreError};
use crate::progress::Progress;

/// Which snapshot, and which machine it becomes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer snapshot restore --snapshot-id box.before --machine-id box-2
  computer snapshot restore --snapshot-id box.before --machine-id box-3 --bucket s3://backups/boxes

A snapshot can be restored any number of times, also while its machine runs.
Each restored machine gets a hostname, keys and an address of its own.")]
pub(crate) struct RestoreArguments {
    /// The snapshot.
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot_id: SnapshotId,
    /// The new machine's name.
    #[arg(long, value_name = "ID")]
    pub(crate) machine_id: MachineId,
    /// A larger size for the system disk.
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<ByteSize>,
    /// Share the snapshot's memory with other machines restored from it.
    #[arg(long)]
    pub(crate) dense: bool,
    /// Read and verify every byte of a local snapshot first.
    #[arg(long)]
    pub(crate) verify_full: bool,
    /// Run before memory and disks are here: they come from the bucket when they are touched, and in the background.
    #[arg(long, requires = "chunked", conflicts_with = "key_file")]
    pub(crate) lazy: bool,
    /// Where the daemon asks for URLs anew when those signed here have expired before all is fetched.
    #[arg(long, value_name = "URL", requires = "lazy")]
    pub(crate) renewal_url: Option<PresignedUrl>,
    /// A key by which this command can be repeated without making a second machine.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<IdempotencyKey>,
    /// How long to wait.
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
    /// Restore from the chunked form in the bucket.
    #[arg(long, requires = "bucket")]
    pub(crate) chunked: bool,
    /// A file with the key that seals the chunked form.
    #[arg(long, value_name = "PATH", requires = "chunked")]
    pub(crate) key_file: Option<PathBuf>,
    /// Where the snapshot is, when not on this host.
    #[command(flatten)]
    pub(crate) store: RestoreStoreArguments,
    /// What the machine boots when it is started anew later, when not what the snapshot says.
    #[command(flatten)]
    pub(crate) artifact: ArtifactArguments,
    /// What the guest is told.
    #[command(flatten)]
    pub(crate) guest: GuestArguments,
}

/// Restores a snapshot and, unless told otherwise, waits until the guest is ready.
pub(super) async fn restore(
    client: &Client,
    arguments: RestoreArguments,
) -> Result<ShownMachine, CliError> {
    let RestoreArguments { snapshot_id, machine_id, .. } = &arguments;
    let progress = Progress::start(format!("restoring {snapshot_id} as machine {machine_id}"));
    let found = match &arguments.store.bucket {
        Some(bucket) => durable(&arguments, bucket).await?,
        None => local(client, &arguments).await?,
    };
    let request = request(&arguments, found)?;
    let wait = arguments.wait.query();
    let call = client.call(RestoreSnapshot, snapshot_id).query(&wait).body(&request);
    let call = call.deadline(contract::client::TRANSFER).key(arguments.key.clone());
    let machine = call.send().await?.value.machine;
    drop(progress);
    running(machine)
}

/// A snapshot that was found, and what its machine booted if that is known.
struct Found {
    source: RestoreSource,
    artifact: Option<ArtifactRef>,
    lazy: Option<LazyRestore>,
}

async fn local(client: &Client, arguments: &RestoreArguments) -> Result<Found, CliError> {
    let snapshot_id = arguments.snapshot_id.clone();
    let answer = client.show_snapshot(&snapshot_id).await?;
    Ok(Found {
        source: RestoreSource::Local(LocalSnapshot { snapshot_id }),
        artifact: answer.snapshot.artifact,
        lazy: None,
    })
}

async fn durable(arguments: &RestoreArguments, bucket: &BucketUrl) -> Result<Found, CliError> {
    let store = ObjectStore::open(&arguments.store.settings, bucket)?;
    if arguments.chunked {
        let key = chunked::read_key(arguments.key_file.as_deref())?;
        let found = chunked::source(&store, bucket, &arguments.snapshot_id, key).await?;
        let lazy = match arguments.lazy {
            true => Some(LazyRestore {
                renewal_url: arguments.renewal_url.clone(),
                working_set: working_set::read(&store, bucket, &arguments.snapshot_id).await?,
            }),
            false => None,
        };
        return Ok(Found { source: RestoreSource::Durable(found.0), artifact: found.1, lazy });
    }
    let key = SnapshotIndex::key(bucket, &arguments.snapshot_id);
    let bytes = store.read(&key).await.map_err(|error| {
        if error.is_absent() { StoreError::NoIndex { key: key.clone() } } else { error }
    })?;
    let index = SnapshotIndex::decode(&bytes, &key, &arguments.snapshot_id)?;
    let artifacts = index.files.into_iter().map(|file| {
        Ok(SnapshotArtifact {
            id: file.artifact_id,
            size_bytes: file.size_bytes,
            sha256_hex: Some(file.sha256_hex),
            download_url: Some(store.sign_read(&file.object_key)?),
            object_key: Some(file.object_key),
        })
    });
    Ok(Found {
        source: RestoreSource::Durable(DurableSnapshot {
            snapshot_id: Some(index.snapshot_id),
            machine_id: Some(index.machine_id),
            source_runtime_host: Some(index.source_runtime_host),
            source_tap_device: Some(index.source_tap_device),
            artifacts: artifacts.collect::<Result<_, StoreError>>()?,
            ..DurableSnapshot::default()
        }),
        artifact: index.artifact,
        lazy: None,
    })
}

fn request(arguments: &RestoreArguments, found: Found) -> Result<RestoreSnapshotRequest, CliError> {
    let artifact = match arguments.artifact.given()? {
        Some(given) => Some(given),
        None => found.artifact,
    };
    let unknown = || CliError::UnknownArtifact { snapshot: arguments.snapshot_id.clone() };
    let artifact = artifact.ok_or_else(unknown)?;
    Ok(RestoreSnapshotRequest {
        storage_bytes: arguments.disk.map(ByteSize::bytes),
        guest_config: arguments.guest.config()?,
        dense: arguments.dense,
        verify: if arguments.verify_full { Verify::Full } else { Verify::Sealed },
        lazy: found.lazy,
        ..RestoreSnapshotRequest::named(arguments.machine_id.clone(), artifact, found.source)
    })
}
