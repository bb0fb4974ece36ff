//! The one change that a plan commits.

use contract::artifact::ArtifactId;
use contract::machine::Identity;
use contract::{MachineId, MountId, OperationId, PublishedPortId, SnapshotId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::Run;
use crate::port::{Launch, Sent, VmmHandle};
use crate::record::{
    ArtifactSum, ChunkedForm, CommandOutcome, Finding, Machine, Moment, Mount, MountState,
    PublishedPort, RelayPort, Slot, Snapshot, Volume,
};

/// A change of the records. As planned, what only steps find out is still absent; [`Change::complete`] carries it over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "variants are documented, and field names are those of the records"
)]
pub enum Change {
    /// A machine was made or started, and its VMM runs.
    MachineStarted {
        /// The record as it shall be; its phase is set from the rest when this is written.
        machine: Box<Machine>,
        /// Volumes made with it.
        new_volumes: Vec<Volume>,
        /// The run.
        launch: Launch,
        /// What the run holds.
        slot: Slot,
        /// Found by the launch.
        handle: Option<VmmHandle>,
        /// Until when it has to be ready.
        deadline: Timestamp,
    },
    /// The guest of this launch is ready.
    MachineReady {
        machine: MachineId,
        launch: OperationId,
        identity: Option<Identity>,
        agent_version: Option<String>,
        ssh_host_public_key: Option<String>,
    },
    /// This launch failed, before or after it was ready.
    MachineFailed {
        machine: MachineId,
        launch: OperationId,
        at: Timestamp,
        reason: String,
        is_kept: bool,
    },
    /// The machine has no VMM any more, or will have none when the finishing steps are through.
    MachineStopped { machine: MachineId, reason: Option<String> },
    /// The machine and the volumes that go with it are gone from the records.
    MachineRemoved { machine: MachineId },
    /// How far a filling was when it was looked at.
    FillingSeen { machine: MachineId, operation: OperationId, missing_bytes: Option<u64> },
    /// The files of a machine are plain files, and nobody serves them any more.
    FillingEnded { machine: MachineId, operation: OperationId },
    /// A mount is recorded.
    MountAdded { machine: MachineId, mount: Box<Mount> },
    /// How far the mounts of this launch have come.
    MountsSeen { machine: MachineId, launch: OperationId, states: Vec<(MountId, MountState)> },
    /// A mount is gone from the records.
    MountRemoved { machine: MachineId, mount: MountId },
    /// A stopped machine's guest is up for its files. Its record stays as it is.
    FilesOpened {
        machine: MachineId,
        /// What the guest takes meanwhile.
        memory_mib: u64,
    },
    /// A snapshot was published.
    SnapshotAdded { snapshot: Box<Snapshot> },
    /// Machines shall be made from a snapshot, each by an operation of its own.
    Forked {
        /// What they go on from.
        snapshot: SnapshotId,
        /// The snapshot, where it was taken for this.
        taken: Option<Box<Snapshot>>,
        /// Their names.
        children: Vec<MachineId>,
    },
    /// The sum of a large artifact became known.
    SnapshotSummed { snapshot: SnapshotId, artifact: ArtifactId, sum: ArtifactSum },
    /// The chunked form of a snapshot was made.
    SnapshotChunked {
        snapshot: SnapshotId,
        /// Found by the step that cut it.
        form: Option<ChunkedForm>,
    },
    /// Packs of a chunked form lie in the object store. The records stay as they are.
    FormSent {
        snapshot: SnapshotId,
        /// Found by the step that sent them.
        sent: Option<Sent>,
    },
    /// Sets that nobody needs are about to go. The records stay as they are.
    ChunksCollected,
    /// A check found a snapshot changed.
    SnapshotQuarantined { snapshot: SnapshotId, reason: String },
    /// A snapshot is gone from the records.
    SnapshotRemoved { snapshot: SnapshotId },
    /// A machine has another size.
    MachineResized { machine: MachineId, memory_mib: u64, storage_bytes: u64 },
    /// A volume was made.
    VolumeAdded { volume: Volume },
    /// A volume is larger.
    VolumeGrown { volume: VolumeId, size_bytes: u64 },
    /// A machine at rest has one more disk.
    VolumeAttached { volume: VolumeId, machine: MachineId },
    /// A machine at rest has one disk less, which outlives it from now on.
    VolumeDetached { volume: VolumeId, machine: MachineId },
    /// A volume is gone from the records.
    VolumeRemoved { volume: VolumeId },
    /// A machine has one more port of the host.
    RelayAdded { machine: MachineId, relay: RelayPort },
    /// A port was published.
    PublishedPortAdded { port: PublishedPort },
    /// A published port was taken back.
    PublishedPortRemoved { machine: MachineId, port: PublishedPortId },
    /// Relays of a machine, published ports among them, have other ports of the host.
    PortsMoved { machine: MachineId, moved: Vec<MovedPort> },
    /// A command ran in a guest. The records stay as they are.
    CommandRan {
        machine: MachineId,
        /// Found by the step that ran it.
        outcome: Option<CommandOutcome>,
    },
    /// Files of a guest were changed. The records stay as they are.
    FilesChanged {
        machine: MachineId,
        /// What the guest answered, as the contract writes it.
        answer: serde_json::Value,
    },
    /// All parts lie in the object store.
    UploadFinished {
        snapshot: SnapshotId,
        /// The artifacts of the request, in its order, with the parts known before and found now.
        parts: Vec<FinishedPart>,
    },
}

/// A port of the host that a relay gave up for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedPort {
    /// The port that somebody else listens on.
    pub from: u16,
    /// The port instead of it.
    pub to: u16,
}

/// A part in an object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishedPart {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The caller's multipart upload.
    pub upload_id: String,
    /// Its number.
    pub part_number: u32,
    /// Where it begins.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// As the store answered it; absent until it is sent.
    pub etag: Option<String>,
}

/// A change that lacks what a step should have found: a defect of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the steps of the plan did not find {0}")]
pub struct IncompleteError(pub &'static str);

impl Change {
    /// The change with what the steps found. Pure.
    pub fn complete(mut self, findings: &[Finding]) -> Result<Self, IncompleteError> {
        match &mut self {
            Self::MachineStarted { handle, .. } => {
                *handle = findings.iter().rev().find_map(|finding| match finding {
                    Finding::Launched { handle } => Some(handle.clone()),
                    _ => None,
                });
                if handle.is_none() {
                    return Err(IncompleteError("the VMM's process"));
                }
            }
            Self::SnapshotAdded { snapshot } | Self::Forked { taken: Some(snapshot), .. } => {
                complete_snapshot(snapshot, findings)?;
            }
            Self::CommandRan { outcome, .. } => {
                *outcome = findings.iter().find_map(|finding| match finding {
                    Finding::CommandEnded { outcome } => Some(outcome.clone()),
                    _ => None,
                });
                if outcome.is_none() {
                    return Err(IncompleteError("what became of the command"));
                }
            }
            Self::UploadFinished { parts, .. } => {
                for part in parts.iter_mut().filter(|part| part.etag.is_none()) {
                    part.etag = findings.iter().find_map(|finding| etag_of(finding, part));
                    if part.etag.is_none() {
                        return Err(IncompleteError("the ETag of a part"));
                    }
                }
            }
            Self::SnapshotChunked { form, .. } => {
                *form = findings.iter().find_map(|finding| match finding {
                    Finding::Cut { form } => Some(form.clone()),
                    _ => None,
                });
                if form.is_none() {
                    return Err(IncompleteError("the chunked form"));
                }
            }
            Self::FormSent { sent, .. } => {
                *sent = findings.iter().find_map(|finding| match finding {
                    Finding::Sent { sent } => Some(*sent),
                    _ => None,
                });
                if sent.is_none() {
                    return Err(IncompleteError("what was sent"));
                }
            }
            Self::MachineReady { .. }
            | Self::MachineFailed { .. }
            | Self::MachineStopped { .. }
            | Self::MachineRemoved { .. }
            | Self::Forked { taken: None, .. }
            | Self::FillingSeen { .. }
            | Self::FillingEnded { .. }
            | Self::MountAdded { .. }
            | Self::MountsSeen { .. }
            | Self::MountRemoved { .. }
            | Self::FilesOpened { .. }
            | Self::ChunksCollected
            | Self::FilesChanged { .. }
            | Self::SnapshotSummed { .. }
            | Self::SnapshotQuarantined { .. }
            | Self::SnapshotRemoved { .. }
            | Self::MachineResized { .. }
            | Self::VolumeAdded { .. }
            | Self::VolumeGrown { .. }
            | Self::VolumeAttached { .. }
            | Self::VolumeDetached { .. }
            | Self::VolumeRemoved { .. }
            | Self::RelayAdded { .. }
            | Self::PublishedPortAdded { .. }
            | Self::PublishedPortRemoved { .. }
            | Self::PortsMoved { .. } => {}
        }
        Ok(self)
    }

    /// The snapshot that the change adds.
    pub fn added_snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::SnapshotAdded { snapshot } | Self::Forked { taken: Some(snapshot), .. } => {
                Some(snapshot)
            }
            _ => None,
        }
    }

    /// The ports of the host that the change gives to relays.
    pub fn host_ports(&self) -> Vec<u16> {
        match self {
            Self::MachineStarted { machine, .. } => {
                machine.relays.iter().map(|relay| relay.host_port).collect()
            }
            Self::RelayAdded { relay, .. } => vec![relay.host_port],
            Self::PublishedPortAdded { port } => vec![port.host_port],
            Self::PortsMoved { moved, .. } => moved.iter().map(|moved| moved.to).collect(),
            _ => vec![],
        }
    }

    /// The run that a completed `MachineStarted` makes.
    pub fn started_run(launch: &Launch, slot: &Slot, handle: &VmmHandle) -> Run {
        Run { launch: launch.clone(), slot: slot.clone(), handle: handle.clone() }
    }
}

fn complete_snapshot(snapshot: &mut Snapshot, findings: &[Finding]) -> Result<(), IncompleteError> {
    let moment = |wanted: Moment| {
        findings.iter().find_map(|finding| match finding {
            Finding::Moment { which, at_us } if *which == wanted => Some(*at_us),
            _ => None,
        })
    };
    let span = |from: Moment, to: Moment| Some(moment(to)?.saturating_sub(moment(from)?));
    snapshot.pause_us = span(Moment::Pausing, Moment::Resumed);
    snapshot.frozen_us = span(Moment::Freezing, Moment::Thawed);
    snapshot.artifacts = findings
        .iter()
        .find_map(|finding| match finding {
            Finding::Sealed { artifacts } => Some(artifacts.clone()),
            _ => None,
        })
        .ok_or(IncompleteError("the sealed files"))?;
    Ok(())
}

/// The ETag, if the finding is about this very part.
pub(crate) fn etag_of(finding: &Finding, part: &FinishedPart) -> Option<String> {
    match finding {
        Finding::PartFinished {
            artifact,
            upload_id,
            part_number,
            offset_bytes,
            size_bytes,
            etag,
        } if *artifact == part.artifact
            && *upload_id == part.upload_id
            && *part_number == part.part_number
            && *offset_bytes == part.offset_bytes
            && *size_bytes == part.size_bytes =>
        {
            Some(etag.clone())
        }
        _ => None,
    }
}
