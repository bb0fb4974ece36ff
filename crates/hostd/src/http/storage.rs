//! What takes how much room, over HTTP.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use contract::MachineId;
use contract::storage::{
    MachineUsage, PoolUsage, SnapshotUsage, StoragePool, StorageReport, StorageReportAnswer,
};
use engine::record::{Machine, Snapshot, Volume};
use jiff::Timestamp;

use super::answer::{Answered, json};
use super::api::Api;
use crate::storage::{Owner, Usage};

pub(super) async fn report(State(api): State<Api>) -> Answered {
    let host = api.host();
    let (at, usage) = api.meter.measure(&host.settings.layout, host.clock.now()).await?;
    let machines = host.journal.machines().await?;
    let snapshots = host.journal.snapshots().await?;
    let volumes = host.journal.volumes().await?;
    let published = host.journal.published_ports().await?.len() as u64;
    let report = encode(at, &usage, &machines, &snapshots, &volumes, published);
    Ok(json(StatusCode::OK, StorageReportAnswer { report }))
}

fn encode(
    generated_at: Timestamp,
    usage: &Usage,
    machines: &[Machine],
    snapshots: &[Snapshot],
    volumes: &[Volume],
    published_ports: u64,
) -> StorageReport {
    let pools = [
        (StoragePool::Artifacts, usage.of(&Owner::Artifacts)),
        (StoragePool::MachineDisks, usage.sum(is_machine_disk)),
        // Published ports are records: their room is the state's.
        (StoragePool::PublishedPorts, 0),
        (StoragePool::Snapshots, usage.sum(|owner| matches!(owner, Owner::Snapshot(_)))),
        (StoragePool::State, usage.of(&Owner::State)),
    ];
    let mut attached: HashMap<&MachineId, u64> = HashMap::new();
    for volume in volumes {
        if let Some(machine) = &volume.attached {
            let bytes = usage.of(&Owner::Volume(volume.id.to_string()));
            *attached.entry(machine).or_default() += bytes;
        }
    }
    let of_machine = |machine: &Machine| {
        let name = machine.id.to_string();
        let volumes = attached.get(&machine.id).copied().unwrap_or_default();
        MachineUsage {
            machine_id: machine.id.clone(),
            system_bytes: usage.of(&Owner::System(name.clone())),
            user_bytes: usage.of(&Owner::User(name.clone())).saturating_add(volumes),
            runtime_bytes: usage.of(&Owner::Runtime(name)),
        }
    };
    let of_snapshot = |snapshot: &Snapshot| {
        let snapshot_id = snapshot.origin.snapshot.clone();
        let bytes = usage.of(&Owner::Snapshot(Some(snapshot_id.to_string())));
        SnapshotUsage { snapshot_id, bytes }
    };
    StorageReport {
        generated_at,
        total_bytes: pools.iter().map(|(_, bytes)| bytes).sum(),
        pools: pools.into_iter().map(|(pool, bytes)| PoolUsage { pool, bytes }).collect(),
        machines: machines.iter().map(of_machine).collect(),
        snapshots: snapshots.iter().map(of_snapshot).collect(),
        published_ports,
    }
}

fn is_machine_disk(owner: &Owner) -> bool {
    match owner {
        Owner::System(_) | Owner::User(_) | Owner::Runtime(_) | Owner::Volume(_) => true,
        Owner::Artifacts | Owner::Snapshot(_) | Owner::State => false,
    }
}
