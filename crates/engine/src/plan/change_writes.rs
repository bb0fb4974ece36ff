//! What a change does to the records, as rows to write: pure, shared by every store.

use contract::{MachineId, OperationId, PublishedPortId, SnapshotId, VolumeId};

use crate::phase::{Event, TransitionError};
use crate::record::{
    FillingRecord, Machine, MountState, PublishedPort, Snapshot, SnapshotState, Volume,
};

use super::{Change, MovedPort};

/// A row to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Insert or replace.
    Machine(Box<Machine>),
    /// Remove.
    RemoveMachine(MachineId),
    /// Insert or replace.
    Volume(Volume),
    /// Remove.
    RemoveVolume(VolumeId),
    /// Insert or replace.
    Snapshot(Box<Snapshot>),
    /// Remove.
    RemoveSnapshot(SnapshotId),
    /// Insert or replace.
    PublishedPort(PublishedPort),
    /// Remove.
    RemovePublishedPort(MachineId, PublishedPortId),
}

/// The records as they are in the transaction that will write.
pub trait Lookup {
    /// The machine with this id.
    fn machine(&self, id: &MachineId) -> Option<Machine>;
    /// The snapshot with this id.
    fn snapshot(&self, id: &SnapshotId) -> Option<Snapshot>;
    /// The volume with this id.
    fn volume(&self, id: &VolumeId) -> Option<Volume>;
    /// All volumes attached to or going with a machine.
    fn volumes_of(&self, id: &MachineId) -> Vec<Volume>;
    /// All published ports of a machine.
    fn published_ports_of(&self, id: &MachineId) -> Vec<PublishedPort>;
}

/// Why a change cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The phase does not allow it.
    #[error("write the phase of machine {machine}")]
    Phase {
        /// The machine.
        machine: MachineId,
        /// What was to happen.
        source: TransitionError,
    },
    /// The change is not complete: a defect of ours.
    #[error("the change lacks the VMM's process")]
    Incomplete,
    /// The record that it changes is gone.
    #[error("{0} is not in the records")]
    Gone(String),
}

/// The rows that a completed change writes. A change about a launch that is over writes nothing: it came too late.
pub fn writes(change: &Change, records: &dyn Lookup) -> Result<Vec<Write>, WriteError> {
    match change {
        Change::MachineStarted { machine, new_volumes, launch, slot, handle, deadline } => {
            let handle = handle.as_ref().ok_or(WriteError::Incomplete)?;
            let run = Box::new(Change::started_run(launch, slot, handle));
            let event = Event::Launched { run, deadline: *deadline };
            let mut rows = vec![with_phase(machine.as_ref().clone(), event)?];
            rows.extend(new_volumes.iter().cloned().map(Write::Volume));
            for volume in records.volumes_of(&machine.id) {
                if !new_volumes.iter().any(|new| new.id == volume.id) {
                    rows.push(Write::Volume(volume));
                }
            }
            Ok(rows)
        }
        Change::MachineReady { machine, launch, identity, agent_version, ssh_host_public_key } => {
            let Some(mut record) = current(records, machine, launch) else { return Ok(vec![]) };
            record.identity = *identity;
            // Another boot, another guest: what the last one had mounted it has not.
            record.mounts.iter_mut().for_each(|mount| mount.state = MountState::Pending);
            record.agent_version.clone_from(agent_version);
            if ssh_host_public_key.is_some() {
                record.ssh_host_public_key.clone_from(ssh_host_public_key);
            }
            Ok(vec![with_phase(record, Event::Ready)?])
        }
        Change::MachineFailed { machine, launch, at, reason, is_kept } => {
            let Some(record) = current(records, machine, launch) else { return Ok(vec![]) };
            let event = Event::Failed { at: *at, reason: reason.clone(), kept: *is_kept };
            Ok(vec![with_phase(record, event)?])
        }
        Change::MachineStopped { machine, reason } => {
            let mut record = known(records, machine)?;
            // The next start boots from the disk: nothing of the snapshot's memory is left.
            record.restored_from = None;
            record.memory = crate::record::Memory::Own;
            Ok(vec![with_phase(record, Event::Stopped { reason: reason.clone() })?])
        }
        Change::MachineRemoved { machine } => {
            let volumes = records.volumes_of(machine).into_iter().map(|volume| {
                if volume.goes_with.as_ref() == Some(machine) {
                    Write::RemoveVolume(volume.id)
                } else {
                    Write::Volume(Volume { attached: None, ..volume })
                }
            });
            let ports = records.published_ports_of(machine).into_iter();
            let ports = ports.map(|port| Write::RemovePublishedPort(port.machine, port.id));
            Ok(volumes.chain(ports).chain([Write::RemoveMachine(machine.clone())]).collect())
        }
        Change::FillingSeen { machine, operation, missing_bytes } => {
            Ok(with_filling(records, machine, operation, |filling| {
                Some(FillingRecord { missing_bytes: *missing_bytes, ..filling })
            }))
        }
        Change::FillingEnded { machine, operation } => {
            Ok(with_filling(records, machine, operation, |_| None))
        }
        Change::MountAdded { machine, mount } => {
            let mut record = known(records, machine)?;
            record.mounts.push(mount.as_ref().clone());
            Ok(vec![Write::Machine(Box::new(record))])
        }
        Change::MountsSeen { machine, launch, states } => {
            let Some(mut record) = current(records, machine, launch) else { return Ok(vec![]) };
            for mount in &mut record.mounts {
                if let Some((_, state)) = states.iter().find(|(id, _)| *id == mount.id) {
                    mount.state.clone_from(state);
                }
            }
            Ok(vec![Write::Machine(Box::new(record))])
        }
        Change::MountRemoved { machine, mount } => {
            let mut record = known(records, machine)?;
            record.mounts.retain(|other| other.id != *mount);
            Ok(vec![Write::Machine(Box::new(record))])
        }
        Change::SnapshotAdded { snapshot } | Change::Forked { taken: Some(snapshot), .. } => {
            Ok(vec![Write::Snapshot(snapshot.clone())])
        }
        Change::SnapshotSummed { snapshot, artifact, sum } => {
            let Some(mut record) = records.snapshot(snapshot) else { return Ok(vec![]) };
            for sealed in &mut record.artifacts {
                if sealed.artifact == *artifact {
                    sealed.sha256 = Some(sum.sha256.clone());
                }
            }
            Ok(vec![Write::Snapshot(Box::new(record))])
        }
        Change::SnapshotChunked { snapshot, form } => {
            let record = records.snapshot(snapshot);
            let mut record = record.ok_or_else(|| WriteError::Gone(snapshot.to_string()))?;
            record.chunked.clone_from(form);
            Ok(vec![Write::Snapshot(Box::new(record))])
        }
        Change::SnapshotQuarantined { snapshot, reason } => {
            let Some(mut record) = records.snapshot(snapshot) else { return Ok(vec![]) };
            record.state = SnapshotState::Quarantined { reason: reason.clone() };
            Ok(vec![Write::Snapshot(Box::new(record))])
        }
        Change::SnapshotRemoved { snapshot } => Ok(vec![Write::RemoveSnapshot(snapshot.clone())]),
        Change::MachineResized { machine, memory_mib, storage_bytes } => {
            let mut record = known(records, machine)?;
            record.shape.memory_mib = *memory_mib;
            record.storage_bytes = *storage_bytes;
            let system = records.volume(&record.system_volume_id());
            let system = system.map(|volume| Volume { size_bytes: *storage_bytes, ..volume });
            let machine = Write::Machine(Box::new(record));
            Ok(system.map(Write::Volume).into_iter().chain([machine]).collect())
        }
        Change::VolumeAdded { volume } => Ok(vec![Write::Volume(volume.clone())]),
        Change::VolumeGrown { volume, size_bytes } => {
            let record = known_volume(records, volume)?;
            Ok(vec![Write::Volume(Volume { size_bytes: *size_bytes, ..record })])
        }
        Change::VolumeAttached { volume, machine } => {
            let attached = Some(machine.clone());
            let mut record = known(records, machine)?;
            record.user_volume_ids.push(volume.clone());
            let volume = Volume { attached, ..known_volume(records, volume)? };
            Ok(vec![Write::Machine(Box::new(record)), Write::Volume(volume)])
        }
        Change::VolumeDetached { volume, machine } => {
            let mut record = known(records, machine)?;
            record.user_volume_ids.retain(|other| other != volume);
            let volume =
                Volume { attached: None, goes_with: None, ..known_volume(records, volume)? };
            Ok(vec![Write::Machine(Box::new(record)), Write::Volume(volume)])
        }
        Change::VolumeRemoved { volume } => Ok(vec![Write::RemoveVolume(volume.clone())]),
        Change::RelayAdded { machine, relay } => {
            let mut record = known(records, machine)?;
            record.relays.retain(|other| other.name != relay.name);
            record.relays.push(*relay);
            Ok(vec![Write::Machine(Box::new(record))])
        }
        Change::PublishedPortAdded { port } => {
            known(records, &port.machine)?;
            Ok(vec![Write::PublishedPort(port.clone())])
        }
        Change::PublishedPortRemoved { machine, port } => {
            Ok(vec![Write::RemovePublishedPort(machine.clone(), port.clone())])
        }
        Change::PortsMoved { machine, moved } => Ok(moved_ports(records, machine, moved)),
        Change::Forked { taken: None, .. }
        | Change::FilesOpened { .. }
        | Change::FilesChanged { .. }
        | Change::UploadFinished { .. }
        | Change::FormSent { .. }
        | Change::ChunksCollected
        | Change::CommandRan { .. } => Ok(vec![]),
    }
}

/// The machine, its relays and its published ports at their new ports of the host; those of a machine that is gone moved too
/// late.
fn moved_ports(records: &dyn Lookup, machine: &MachineId, moved: &[MovedPort]) -> Vec<Write> {
    let Some(mut record) = records.machine(machine) else { return vec![] };
    let target = |port: u16| moved.iter().find(|moved| moved.from == port).map(|moved| moved.to);
    for relay in &mut record.relays {
        relay.host_port = target(relay.host_port).unwrap_or(relay.host_port);
    }
    let published = records.published_ports_of(machine).into_iter().filter_map(|port| {
        let host_port = target(port.host_port)?;
        Some(Write::PublishedPort(PublishedPort { host_port, ..port }))
    });
    published.chain([Write::Machine(Box::new(record))]).collect()
}

fn known_volume(records: &dyn Lookup, volume: &VolumeId) -> Result<Volume, WriteError> {
    records.volume(volume).ok_or_else(|| WriteError::Gone(volume.to_string()))
}

fn known(records: &dyn Lookup, machine: &MachineId) -> Result<Machine, WriteError> {
    records.machine(machine).ok_or_else(|| WriteError::Gone(machine.to_string()))
}

/// The machine, if the launch that the change speaks of is still its run.
fn current(
    records: &dyn Lookup,
    machine: &MachineId,
    launch: &contract::OperationId,
) -> Option<Machine> {
    records
        .machine(machine)
        .filter(|record| record.phase.run().is_some_and(|run| run.launch.operation == *launch))
}

fn with_phase(mut machine: Machine, event: Event) -> Result<Write, WriteError> {
    let id = machine.id.clone();
    machine.phase =
        machine.phase.after(event).map_err(|source| WriteError::Phase { machine: id, source })?;
    Ok(Write::Machine(Box::new(machine)))
}

/// A machine whose filling is changed, if it is still this one.
fn with_filling(
    records: &dyn Lookup,
    machine: &MachineId,
    operation: &OperationId,
    change: impl FnOnce(FillingRecord) -> Option<FillingRecord>,
) -> Vec<Write> {
    let Some(mut record) = records.machine(machine) else { return vec![] };
    match record.filling.take().filter(|filling| filling.place.operation == *operation) {
        Some(filling) => record.filling = change(filling),
        None => return vec![],
    }
    vec![Write::Machine(Box::new(record))]
}
