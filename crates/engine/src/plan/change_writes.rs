//! What a change does to the records, as rows to write: pure, shared by every store.

use contract::{MachineId, SnapshotId, VolumeId};

use crate::phase::{Event, TransitionError};
use crate::record::{Machine, Snapshot, SnapshotState, Volume};

use super::Change;

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
}

/// The records as they are in the transaction that will write.
pub trait Lookup {
    /// The machine with this id.
    fn machine(&self, id: &MachineId) -> Option<Machine>;
    /// The snapshot with this id.
    fn snapshot(&self, id: &SnapshotId) -> Option<Snapshot>;
    /// All volumes attached to or going with a machine.
    fn volumes_of(&self, id: &MachineId) -> Vec<Volume>;
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
            let mut record =
                records.machine(machine).ok_or_else(|| WriteError::Gone(machine.to_string()))?;
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
            Ok(volumes.chain([Write::RemoveMachine(machine.clone())]).collect())
        }
        Change::SnapshotAdded { snapshot } => Ok(vec![Write::Snapshot(snapshot.clone())]),
        Change::SnapshotSummed { snapshot, artifact, sum } => {
            let Some(mut record) = records.snapshot(snapshot) else { return Ok(vec![]) };
            for sealed in &mut record.artifacts {
                if sealed.artifact == *artifact {
                    sealed.sha256 = Some(sum.sha256.clone());
                }
            }
            Ok(vec![Write::Snapshot(Box::new(record))])
        }
        Change::SnapshotQuarantined { snapshot, reason } => {
            let Some(mut record) = records.snapshot(snapshot) else { return Ok(vec![]) };
            record.state = SnapshotState::Quarantined { reason: reason.clone() };
            Ok(vec![Write::Snapshot(Box::new(record))])
        }
        Change::SnapshotRemoved { snapshot } => Ok(vec![Write::RemoveSnapshot(snapshot.clone())]),
        Change::UploadFinished { .. } => Ok(vec![]),
    }
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
