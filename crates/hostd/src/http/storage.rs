//! What takes how much room, over HTTP. Allocated blocks, so that holes cost nothing; blocks that clones share count for each.

use std::io;
use std::os::unix::fs::MetadataExt;

use axum::extract::State;
use axum::http::StatusCode;
use camino::Utf8Path;
use contract::storage::{
    MachineUsage, PoolUsage, SnapshotUsage, StoragePool, StorageReport, StorageReportAnswer,
};
use engine::layout::{Layout, machine_file};
use engine::port::PortError;
use engine::record::{Machine, Snapshot};
use jiff::Timestamp;

use super::answer::{Answered, json};
use super::api::Api;
use super::error::Failure;

/// A block of `st_blocks`, whatever the file system's own are.
const BLOCK_BYTES: u64 = 512;

pub(super) async fn report(State(api): State<Api>) -> Answered {
    let host = api.host();
    let machines = host.journal.machines().await?;
    let snapshots = host.journal.snapshots().await?;
    let (layout, now) = (host.settings.layout.clone(), host.clock.now());
    let measured = tokio::task::spawn_blocking(move || {
        measure(&layout, &machines, &snapshots, now)
            .map_err(|error| PortError::io("measure the root directory", error))
    });
    let report = measured.await.map_err(|error| {
        Failure::from(PortError::internal("measure the root directory", error))
    })??;
    Ok(json(StatusCode::OK, StorageReportAnswer { report }))
}

fn measure(
    layout: &Layout,
    machines: &[Machine],
    snapshots: &[Snapshot],
    now: Timestamp,
) -> io::Result<StorageReport> {
    let disks = allocated(&layout.machines())?.saturating_add(allocated(&layout.volumes())?);
    let pools = [
        (StoragePool::Artifacts, allocated(&layout.artifacts())?),
        (StoragePool::MachineDisks, disks),
        (StoragePool::PublishedPorts, 0),
        (StoragePool::Snapshots, allocated(&layout.snapshots())?),
        (StoragePool::State, allocated(&layout.state())?),
    ];
    let machines = machines.iter().map(|machine| machine_usage(layout, machine));
    let snapshots = snapshots.iter().map(|snapshot| {
        let snapshot_id = snapshot.origin.snapshot.clone();
        Ok(SnapshotUsage { bytes: allocated(&layout.snapshot(&snapshot_id))?, snapshot_id })
    });
    Ok(StorageReport {
        generated_at: now,
        total_bytes: pools.iter().map(|(_, bytes)| bytes).sum(),
        pools: pools.into_iter().map(|(pool, bytes)| PoolUsage { pool, bytes }).collect(),
        machines: machines.collect::<io::Result<_>>()?,
        snapshots: snapshots.collect::<io::Result<_>>()?,
        published_ports: 0,
    })
}

fn machine_usage(layout: &Layout, machine: &Machine) -> io::Result<MachineUsage> {
    let dir = layout.machine(&machine.id);
    let system_bytes = allocated(&dir.join(machine_file::SYSTEM_DISK))?;
    let names = machine.disk_names();
    let users = names.iter().filter(|name| *name != machine_file::SYSTEM_DISK);
    let user_bytes = users.map(|name| allocated(&dir.join(name))).sum::<io::Result<u64>>()?;
    let all = allocated(&dir)?;
    Ok(MachineUsage {
        machine_id: machine.id.clone(),
        system_bytes,
        user_bytes,
        runtime_bytes: all.saturating_sub(system_bytes).saturating_sub(user_bytes),
    })
}

/// The blocks of a file or a tree, links not followed. What is gone meanwhile takes no room.
fn allocated(path: &Utf8Path) -> io::Result<u64> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let own = metadata.blocks().saturating_mul(BLOCK_BYTES);
    if !metadata.is_dir() {
        return Ok(own);
    }
    let entries = match path.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(own),
        Err(error) => return Err(error),
    };
    entries
        .map(|entry| allocated(entry?.path()))
        .try_fold(own, |sum, bytes| Ok(sum.saturating_add(bytes?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_take_no_room_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        let empty = allocated(path).unwrap();
        std::fs::File::create(path.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        std::os::unix::fs::symlink("/usr", path.join("link")).unwrap();
        assert!(allocated(path).unwrap() < empty + (1 << 20));
        std::fs::create_dir(path.join("inner")).unwrap();
        std::fs::write(path.join("inner/file"), vec![1; 1 << 20]).unwrap();
        assert!(allocated(path).unwrap() >= 1 << 20);
        assert_eq!(allocated(&path.join("gone")).unwrap(), 0);
    }
}
