//! The store of the fake host: rows in memory, changed only by whole transactions.

use std::collections::BTreeMap;

use contract::operation::OperationState;
use contract::{MachineId, OperationId, PublishedPortId, SnapshotId, VolumeId};
use engine::plan::{Change, Lookup, Write, writes};
use engine::port::PortError;
use engine::record::{Finding, Machine, Operation, PublishedPort, Snapshot, Volume};
use jiff::Timestamp;

/// All rows.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    /// Operations by id.
    pub operations: BTreeMap<OperationId, Operation>,
    /// Machines by id.
    pub machines: BTreeMap<MachineId, Machine>,
    /// Snapshots by id.
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// Volumes by id.
    pub volumes: BTreeMap<VolumeId, Volume>,
    /// Published ports by machine and id.
    pub published_ports: BTreeMap<(MachineId, PublishedPortId), PublishedPort>,
}

impl Lookup for Rows {
    fn machine(&self, id: &MachineId) -> Option<Machine> {
        self.machines.get(id).cloned()
    }

    fn snapshot(&self, id: &SnapshotId) -> Option<Snapshot> {
        self.snapshots.get(id).cloned()
    }

    fn volume(&self, id: &VolumeId) -> Option<Volume> {
        self.volumes.get(id).cloned()
    }

    fn volumes_of(&self, id: &MachineId) -> Vec<Volume> {
        let is_of = |volume: &&Volume| {
            volume.attached.as_ref() == Some(id) || volume.goes_with.as_ref() == Some(id)
        };
        self.volumes.values().filter(is_of).cloned().collect()
    }

    fn published_ports_of(&self, id: &MachineId) -> Vec<PublishedPort> {
        let is_of = |port: &&PublishedPort| port.machine == *id;
        self.published_ports.values().filter(is_of).cloned().collect()
    }
}

impl Rows {
    /// All operations that are not closed.
    pub fn open(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values().filter(|operation| operation.ended_at.is_none())
    }

    /// Writes what a change means, all of it or nothing.
    pub fn write(&mut self, change: &Change) -> Result<(), PortError> {
        let rows = writes(change, self)
            .map_err(|source| PortError::internal("write a change to the records", source))?;
        for row in rows {
            match row {
                Write::Machine(machine) => {
                    self.machines.insert(machine.id.clone(), *machine);
                }
                Write::RemoveMachine(id) => {
                    self.machines.remove(&id);
                }
                Write::Volume(volume) => {
                    self.volumes.insert(volume.id.clone(), volume);
                }
                Write::RemoveVolume(id) => {
                    self.volumes.remove(&id);
                }
                Write::Snapshot(snapshot) => {
                    self.snapshots.insert(snapshot.origin.snapshot.clone(), *snapshot);
                }
                Write::PublishedPort(port) => {
                    self.published_ports.insert((port.machine.clone(), port.id.clone()), port);
                }
                Write::RemovePublishedPort(machine, id) => {
                    self.published_ports.remove(&(machine, id));
                }
                Write::RemoveSnapshot(id) => {
                    self.forget_parts(&id);
                    self.snapshots.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// What was sent of a snapshot is worth nothing when it is gone: its name may be taken by another.
    fn forget_parts(&mut self, id: &SnapshotId) {
        for operation in self.operations.values_mut() {
            if operation.plan.resource_id == id.as_str() {
                let is_part = |finding: &Finding| matches!(finding, Finding::PartFinished { .. });
                operation.findings.retain(|finding| !is_part(finding));
            }
        }
    }

    /// Forgets operations that were closed before this.
    pub fn prune(&mut self, before: Timestamp) {
        self.operations.retain(|_, operation| operation.ended_at.is_none_or(|at| at >= before));
    }

    /// Ends an operation. Its plan, which may hold signed URLs, loses its steps.
    pub fn end(&mut self, id: &OperationId, state: OperationState, now: Timestamp) {
        if let Some(operation) = self.operations.get_mut(id) {
            operation.state = state;
            operation.ended_at = Some(now);
            operation.plan.prepare.clear();
            operation.plan.finish.clear();
        }
    }
}
