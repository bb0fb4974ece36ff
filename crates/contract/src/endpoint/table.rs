//! The table of endpoints.

use http::{Method, StatusCode};

use super::body::{Bytes, Json, Lines, NoQuery, Nothing, WebSocket};
use super::{Endpoint, EndpointInfo, Tag};
use crate::artifact::ArtifactId;
use crate::chunked::{
    CheckChunksAnswer, ChunkSnapshotRequest, ChunkedFormAnswer, CollectChunksAnswer,
    UploadChunkedAnswer, UploadChunkedRequest,
};
use crate::exec::{ExecRequest, ExecResponse};
use crate::exec_session::ExecSessionsAnswer;
use crate::file::{FileOperationRequest, FileOperationResponse};
use crate::file_stream::{FileChangeEvent, FileQuery, FileWrittenAnswer, WriteFileQuery};
use crate::fork::{ForkAnswer, ForkRequest};
use crate::health::HealthAnswer;
use crate::id::{
    ExecSessionId, MachineId, MountId, OperationId, PublishedPortId, SnapshotId, VolumeId,
};
use crate::lazy::FillingAnswer;
use crate::machine::{CreateMachineRequest, MachineAnswer, MachinesAnswer, ResizeMachineRequest};
use crate::mount::{CreateMountRequest, MountAnswer, MountsAnswer};
use crate::operation::{OperationAnswer, OperationsAnswer, OperationsQuery, WaitQuery};
use crate::published_port::{
    CreatePublishedPortRequest, PublishedPortAnswer, PublishedPortsAnswer,
};
use crate::restore::RestoreSnapshotRequest;
use crate::snapshot::{CreateSnapshotRequest, SnapshotAnswer, SnapshotsAnswer};
use crate::storage::StorageReportAnswer;
use crate::upload::{UploadSnapshotRequest, UploadSnapshotResponse};
use crate::volume::{
    AttachVolumeRequest, CreateVolumeRequest, DetachVolumeRequest, GrowVolumeRequest, VolumeAnswer,
    VolumesAnswer,
};

/// Each line: name, tag, method, path with the type of its identifiers, query, request, status and answer.
macro_rules! endpoints {
    ($(
        #[doc = $summary:literal]
        $name:ident [$tag:ident] $method:ident $template:literal ($path:ty) ? ($query:ty)
            ($request:ty) => $success:ident ($answer:ty);
    )+) => {
        $(
            #[doc = $summary]
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Endpoint for $name {
                type Path = $path;
                type Query = $query;
                type Request = $request;
                type Answer = $answer;

                const NAME: &str = stringify!($name);
                const METHOD: Method = Method::$method;
                const PATH: &str = $template;
                const SUCCESS: StatusCode = StatusCode::$success;
            }
        )+

        /// Every endpoint there is.
        pub static ENDPOINTS: &[EndpointInfo] =
            &[$(EndpointInfo::of::<$name>(Tag::$tag, $summary.trim_ascii())),+];
    };
}

endpoints! {
    /// Says that the host serves.
    Health [Host] GET "/health" (()) ? (NoQuery)
        (Nothing) => OK (Json<HealthAnswer>);
    /// Says what takes how much room.
    ReportStorage [Host] GET "/storage/report" (()) ? (NoQuery)
        (Nothing) => OK (Json<StorageReportAnswer>);
    /// Reads and hashes every pack of the host, and says what is wrong.
    CheckChunks [Host] GET "/storage/chunks/check" (()) ? (NoQuery)
        (Nothing) => OK (Json<CheckChunksAnswer>);
    /// Takes away the packs that no snapshot needs.
    CollectChunks [Host] POST "/storage/chunks/collect" (()) ? (NoQuery)
        (Nothing) => OK (Json<CollectChunksAnswer>);

    /// Makes a machine and boots it.
    CreateMachine [Machines] POST "/machines" (()) ? (WaitQuery)
        (Json<CreateMachineRequest>) => CREATED (Json<MachineAnswer>);
    /// Lists the machines.
    ListMachines [Machines] GET "/machines" (()) ? (NoQuery)
        (Nothing) => OK (Json<MachinesAnswer>);
    /// Shows a machine.
    ShowMachine [Machines] GET "/machines/{machine_id}" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<MachineAnswer>);
    /// Removes a machine and what goes with it; also when there is none.
    DeleteMachine [Machines] DELETE "/machines/{machine_id}" (MachineId) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);
    /// Boots a stopped machine; one that runs is answered as it is.
    StartMachine [Machines] POST "/machines/{machine_id}/start" (MachineId) ? (WaitQuery)
        (Nothing) => OK (Json<MachineAnswer>);
    /// Stops a machine; a failed one becomes stopped.
    StopMachine [Machines] POST "/machines/{machine_id}/stop" (MachineId) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);
    /// Gives a machine another size.
    ResizeMachine [Machines] POST "/machines/{machine_id}/resize" (MachineId) ? (NoQuery)
        (Json<ResizeMachineRequest>) => OK (Json<MachineAnswer>);

    /// Runs a command in a guest and answers its output.
    Exec [Guests] POST "/machines/{machine_id}/exec" (MachineId) ? (NoQuery)
        (Json<ExecRequest>) => OK (Json<ExecResponse>);
    /// Runs a command in a guest over a WebSocket while its streams flow.
    ExecStream [Guests] GET "/machines/{machine_id}/exec/stream" (MachineId) ? (NoQuery)
        (Nothing) => SWITCHING_PROTOCOLS (WebSocket);
    /// Lists the commands that run in a guest, or ended not long ago.
    ListExecSessions [Guests] GET "/machines/{machine_id}/exec/sessions" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<ExecSessionsAnswer>);
    /// Ends a command with all that it started, and forgets it; also when there is none.
    EndExecSession [Guests] DELETE "/machines/{machine_id}/exec/sessions/{session_id}" ((MachineId, ExecSessionId)) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);
    /// Opens the exec port of a machine.
    OpenExecRelay [Guests] POST "/machines/{machine_id}/exec-relay" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<MachineAnswer>);
    /// Reads or changes files of a guest.
    OperateOnFiles [Guests] POST "/machines/{machine_id}/files/ops" (MachineId) ? (NoQuery)
        (Json<FileOperationRequest>) => OK (Json<FileOperationResponse>);
    /// Sends the bytes of a file of a guest, or a range of them.
    ReadFile [Guests] GET "/machines/{machine_id}/files/content" (MachineId) ? (FileQuery)
        (Nothing) => OK (Bytes);
    /// Replaces a file of a guest by the bytes that are sent; it appears when all have come.
    WriteFile [Guests] PUT "/machines/{machine_id}/files/content" (MachineId) ? (WriteFileQuery)
        (Bytes) => OK (Json<FileWrittenAnswer>);
    /// Sends a tar archive of what a directory of a guest holds, or of one file.
    ReadArchive [Guests] GET "/machines/{machine_id}/files/archive" (MachineId) ? (FileQuery)
        (Nothing) => OK (Bytes);
    /// Unpacks the tar archive that is sent into a directory of a guest.
    WriteArchive [Guests] PUT "/machines/{machine_id}/files/archive" (MachineId) ? (FileQuery)
        (Bytes) => OK (Json<FileWrittenAnswer>);
    /// Tells of changes beneath a directory of a guest as they happen.
    WatchFiles [Guests] GET "/machines/{machine_id}/files/watch" (MachineId) ? (FileQuery)
        (Nothing) => OK (Lines<FileChangeEvent>);

    /// Takes a snapshot of a machine.
    CreateSnapshot [Snapshots] POST "/machines/{machine_id}/snapshots" (MachineId) ? (NoQuery)
        (Json<CreateSnapshotRequest>) => CREATED (Json<SnapshotAnswer>);
    /// Lists the snapshots of a machine, which may be gone.
    ListMachineSnapshots [Snapshots] GET "/machines/{machine_id}/snapshots" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<SnapshotsAnswer>);
    /// Lists all snapshots.
    ListSnapshots [Snapshots] GET "/snapshots" (()) ? (NoQuery)
        (Nothing) => OK (Json<SnapshotsAnswer>);
    /// Shows a snapshot and its files.
    ShowSnapshot [Snapshots] GET "/snapshots/{snapshot_id}" (SnapshotId) ? (NoQuery)
        (Nothing) => OK (Json<SnapshotAnswer>);
    /// Removes a snapshot that nothing uses.
    DeleteSnapshot [Snapshots] DELETE "/snapshots/{snapshot_id}" (SnapshotId) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);
    /// Sends files of a snapshot to an object store, by URLs that the caller signed.
    UploadSnapshot [Snapshots] POST "/snapshots/{snapshot_id}/upload" (SnapshotId) ? (NoQuery)
        (Json<UploadSnapshotRequest>) => OK (Json<UploadSnapshotResponse>);
    /// Says what the chunked form of a snapshot is made of, and which of it is to be sent; makes it if need be.
    ChunkSnapshot [Snapshots] POST "/snapshots/{snapshot_id}/chunked" (SnapshotId) ? (NoQuery)
        (Json<ChunkSnapshotRequest>) => OK (Json<ChunkedFormAnswer>);
    /// Sends packs of a chunked form and its manifest to an object store, by URLs that the caller signed.
    UploadChunked [Snapshots] POST "/snapshots/{snapshot_id}/chunked/upload" (SnapshotId) ? (NoQuery)
        (Json<UploadChunkedRequest>) => OK (Json<UploadChunkedAnswer>);
    /// Makes a machine that goes on from a snapshot.
    RestoreSnapshot [Snapshots] POST "/snapshots/{snapshot_id}/restore" (SnapshotId) ? (WaitQuery)
        (Json<RestoreSnapshotRequest>) => CREATED (Json<MachineAnswer>);
    /// Makes machines that go on from where a running machine is, after one pause of it.
    ForkMachine [Machines] POST "/machines/{machine_id}/fork" (MachineId) ? (WaitQuery)
        (Json<ForkRequest>) => CREATED (Json<ForkAnswer>);
    /// Makes machines that go on from a snapshot.
    ForkSnapshot [Snapshots] POST "/snapshots/{snapshot_id}/fork" (SnapshotId) ? (WaitQuery)
        (Json<ForkRequest>) => CREATED (Json<ForkAnswer>);
    /// Sends the bytes of one file of a snapshot, or a range of them.
    ReadArtifact [Snapshots] GET "/snapshots/{snapshot_id}/artifacts/{artifact_id}" ((SnapshotId, ArtifactId)) ? (NoQuery)
        (Nothing) => OK (Bytes);

    /// Lists the volumes: the disks of machines, and those with a life of their own.
    ListVolumes [Volumes] GET "/volumes" (()) ? (NoQuery)
        (Nothing) => OK (Json<VolumesAnswer>);
    /// Makes a volume that outlives machines.
    CreateVolume [Volumes] POST "/volumes" (()) ? (NoQuery)
        (Json<CreateVolumeRequest>) => CREATED (Json<VolumeAnswer>);
    /// Shows a volume.
    ShowVolume [Volumes] GET "/volumes/{volume_id}" (VolumeId) ? (NoQuery)
        (Nothing) => OK (Json<VolumeAnswer>);
    /// Removes a volume that no machine has; also when there is none.
    DeleteVolume [Volumes] DELETE "/volumes/{volume_id}" (VolumeId) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);
    /// Makes a volume larger, also while its machine runs where the VMM can.
    GrowVolume [Volumes] POST "/volumes/{volume_id}/grow" (VolumeId) ? (NoQuery)
        (Json<GrowVolumeRequest>) => OK (Json<VolumeAnswer>);
    /// Attaches a volume to a machine that is stopped or may be restarted.
    AttachVolume [Volumes] POST "/volumes/{volume_id}/attach" (VolumeId) ? (NoQuery)
        (Json<AttachVolumeRequest>) => OK (Json<VolumeAnswer>);
    /// Takes a volume from a machine that is stopped or may be restarted; it outlives the machine from then on.
    DetachVolume [Volumes] POST "/volumes/{volume_id}/detach" (VolumeId) ? (NoQuery)
        (Json<DetachVolumeRequest>) => OK (Json<VolumeAnswer>);

    /// Lists the published ports of a machine.
    ListPublishedPorts [PublishedPorts] GET "/machines/{machine_id}/published-ports" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<PublishedPortsAnswer>);
    /// Publishes a port of a machine.
    CreatePublishedPort [PublishedPorts] POST "/machines/{machine_id}/published-ports" (MachineId) ? (NoQuery)
        (Json<CreatePublishedPortRequest>) => CREATED (Json<PublishedPortAnswer>);
    /// Takes a published port back; also when there is none.
    DeletePublishedPort [PublishedPorts] DELETE "/machines/{machine_id}/published-ports/{port_id}" ((MachineId, PublishedPortId)) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);

    /// Shows how far the files of a lazily restored machine are, and what its guest touched first.
    ShowFilling [Machines] GET "/machines/{machine_id}/filling" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<FillingAnswer>);

    /// Lists the mounts of a machine.
    ListMounts [Mounts] GET "/machines/{machine_id}/mounts" (MachineId) ? (NoQuery)
        (Nothing) => OK (Json<MountsAnswer>);
    /// Mounts a store in a guest.
    CreateMount [Mounts] POST "/machines/{machine_id}/mounts" (MachineId) ? (NoQuery)
        (Json<CreateMountRequest>) => CREATED (Json<MountAnswer>);
    /// Takes a mount away; also when there is none.
    DeleteMount [Mounts] DELETE "/machines/{machine_id}/mounts/{mount_id}" ((MachineId, MountId)) ? (NoQuery)
        (Nothing) => NO_CONTENT (Nothing);

    /// Lists operations, by which a lost answer is found again.
    ListOperations [Operations] GET "/operations" (()) ? (OperationsQuery)
        (Nothing) => OK (Json<OperationsAnswer>);
    /// Shows an operation.
    ShowOperation [Operations] GET "/operations/{operation_id}" (OperationId) ? (NoQuery)
        (Nothing) => OK (Json<OperationAnswer>);
}
