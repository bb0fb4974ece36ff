//! The steps that plans are made of: data, with every name, path and address already chosen.

use camino::Utf8PathBuf;
use contract::artifact::ArtifactId;
use contract::machine::GuestProtocol;
use contract::{MachineId, MountId, OperationId, PresignedUrl, Secret, Sha256Hex, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::port::{
    CheckDepth, CommandJob, CutJob, DiskSource, DownloadTarget, FillRequest, FillingPlace,
    FormTarget, FormUrl, GrownDisk, Launch, LaunchSpec, PackPut, Relay, SealRequest, SendJob,
    UploadJob,
};
use crate::record::Slot;

/// One step. What it does stands in `apply.rs`, how it is undone in `undo.rs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step", deny_unknown_fields)]
#[expect(missing_docs, reason = "variants are documented, and field names are those of the ports")]
pub enum Step {
    /// Makes a directory that carries the operation's id. Undo: remove it whole.
    MakeDir { dir: Utf8PathBuf },
    /// Puts a kernel or initrd into a directory of this operation.
    PlaceArtifact { source: DiskSource, to: Utf8PathBuf },
    /// Clones a disk, memory or state file into a directory of this operation.
    CloneFile { source: DiskSource, to: Utf8PathBuf, size_bytes: Option<u64>, owner: Option<u32> },
    /// Gives the files of a machine to the uid of its next run.
    GiveTo { paths: Vec<Utf8PathBuf>, owner: u32 },
    /// Builds a slot, closed. Undo: destroy it.
    BuildSlot { slot: Slot },
    /// Starts a VMM. Undo: end it.
    Launch { spec: Box<LaunchSpec> },
    /// Waits until a guest is ready, and gives it its identity on the way. Ends in `running` or `failed`.
    AwaitReady { machine: MachineId, launch: Launch },
    /// Waits until the agent of a guest that is up for its files answers.
    AwaitAgent { launch: Launch, deadline_ms: u64 },
    /// Waits until nobody needs the files of this guest any more.
    ServeFiles { launch: Launch },
    /// Keeps a secret in a file of root's alone, whose name is this operation's. Undo: remove it.
    KeepSecret { path: Utf8PathBuf, secret: Secret },
    /// Removes such a file.
    ForgetSecret { path: Utf8PathBuf },
    /// Has a guest take a mount away, if it still can.
    Unmount { launch: Launch, mount: MountId, deadline_ms: u64 },
    /// Asks the guest to power off and waits until it has, or the deadline has passed.
    ShutDown { launch: Launch, protocol: GuestProtocol, deadline_ms: u64 },
    /// Ends a run and removes its cgroup.
    EndRun { launch: Launch },
    /// Destroys a slot.
    DestroySlot { slot: Slot },
    /// Opens a relay into a slot. Undo: close it.
    OpenRelay { slot: Slot, relay: Relay },
    /// Closes a relay.
    CloseRelay { host_port: u16 },
    /// Opens whatever relays the records give a machine, if it runs.
    ServeRelays { machine: MachineId },
    /// Makes an empty disk with an ext4 on it, in a directory of this operation.
    FormatDisk { to: Utf8PathBuf, size_bytes: u64, label: String },
    /// Makes the file of a disk as large as this, if it is smaller.
    GrowFile { path: Utf8PathBuf, size_bytes: u64 },
    /// Tells the VMM of a run how large one of its disks is by now.
    ExtendDisk { launch: Launch, disk: GrownDisk },
    /// Asks the guest of a run to grow its file systems to their disks.
    GrowGuest { launch: Launch, disk: GrownDisk, deadline_ms: u64 },
    /// Removes a file whose record is gone.
    RemoveFile { path: Utf8PathBuf },
    /// Removes a tree whose record is gone.
    RemoveTree { dir: Utf8PathBuf, scratch: Utf8PathBuf },
    /// Writes back what is dirty before the pause.
    SyncDirty { paths: Vec<Utf8PathBuf> },
    /// Freezes guest processes. Undo: thaw.
    Freeze { launch: Launch, self_thaw_ms: u64, deadline_ms: u64 },
    /// Stops vCPUs, from here to the resume for no longer than `limit_ms`. Undo: resume.
    Pause {
        launch: Launch,
        #[serde(default)]
        limit_ms: Option<u64>,
    },
    /// Writes device state. Undo: give up what the VMM set aside.
    Capture { launch: Launch, into: Utf8PathBuf },
    /// Brings guest RAM out of a VMM that keeps it to itself.
    CollectMemory { launch: Launch, into: Utf8PathBuf },
    /// Runs vCPUs.
    Resume { launch: Launch },
    /// Connects to the agent of a restored guest before it runs.
    ConnectAhead { launch: Launch, deadline_ms: u64 },
    /// Thaws guest processes.
    Thaw { launch: Launch, deadline_ms: u64 },
    /// Runs a command in a guest. Undo: end it.
    RunCommand { launch: Launch, job: Box<CommandJob> },
    /// Hashes and seals captured files.
    Seal { request: Box<SealRequest> },
    /// Moves a sealed directory to its place. Undo: remove it if this operation sealed it.
    Publish { from: Utf8PathBuf, to: Utf8PathBuf },
    /// Checks a sealed snapshot before it is used.
    CheckSealed { snapshot: SnapshotId, dir: Utf8PathBuf, depth: CheckDepth },
    /// Sums a large artifact of a published snapshot.
    SumArtifact { snapshot: SnapshotId, dir: Utf8PathBuf, artifact: ArtifactId },
    /// Sends missing parts.
    Upload { job: Box<UploadJob> },
    /// Fetches and verifies a manifest into a directory of this operation.
    FetchManifest { url: PresignedUrl, sha256: Sha256Hex, dir: Utf8PathBuf },
    /// Fetches one artifact, verified against the manifest in `manifest_dir`.
    Download { target: Box<DownloadTarget>, manifest_dir: Utf8PathBuf },
    /// Cuts a sealed snapshot into a set, in a directory of this operation.
    Cut { job: Box<CutJob> },
    /// Sends packs and the document of a form.
    SendForm { job: Box<SendJob> },
    /// Fetches the document of a form and the manifest in it into a directory of this operation.
    FetchForm { form: Box<FormUrl>, dir: Utf8PathBuf },
    /// Fetches the packs of the document in `document` into a new directory beneath one of this operation.
    FetchPacks { document: Utf8PathBuf, packs: Vec<PackPut>, to: Utf8PathBuf },
    /// Puts a file together from packs.
    Assemble { target: Box<FormTarget> },
    /// Removes a set, unless a snapshot needs it.
    DropSet { set: OperationId, dir: Utf8PathBuf, scratch: Utf8PathBuf },
    /// Begins to fill files in a directory of this operation, and shows them. Undo: end it.
    StartFilling { request: Box<FillRequest> },
    /// Waits until the files of a filling are full.
    AwaitFilled { place: FillingPlace, deadline_ms: u64 },
    /// Ends the processes of a filling.
    EndFilling { place: FillingPlace },
}

impl Step {
    /// The step's name, for logs and faults.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MakeDir { .. } => "make_dir",
            Self::PlaceArtifact { .. } => "place_artifact",
            Self::CloneFile { .. } => "clone_file",
            Self::GiveTo { .. } => "give_to",
            Self::BuildSlot { .. } => "build_slot",
            Self::Launch { .. } => "launch",
            Self::AwaitReady { .. } => "await_ready",
            Self::AwaitAgent { .. } => "await_agent",
            Self::ServeFiles { .. } => "serve_files",
            Self::KeepSecret { .. } => "keep_secret",
            Self::ForgetSecret { .. } => "forget_secret",
            Self::Unmount { .. } => "unmount",
            Self::ShutDown { .. } => "shut_down",
            Self::EndRun { .. } => "end_run",
            Self::DestroySlot { .. } => "destroy_slot",
            Self::OpenRelay { .. } => "open_relay",
            Self::CloseRelay { .. } => "close_relay",
            Self::ServeRelays { .. } => "serve_relays",
            Self::FormatDisk { .. } => "format_disk",
            Self::GrowFile { .. } => "grow_file",
            Self::ExtendDisk { .. } => "extend_disk",
            Self::GrowGuest { .. } => "grow_guest",
            Self::RemoveFile { .. } => "remove_file",
            Self::RemoveTree { .. } => "remove_tree",
            Self::SyncDirty { .. } => "sync_dirty",
            Self::Freeze { .. } => "freeze",
            Self::Pause { .. } => "pause",
            Self::Capture { .. } => "capture",
            Self::CollectMemory { .. } => "collect_memory",
            Self::Resume { .. } => "resume",
            Self::ConnectAhead { .. } => "connect_ahead",
            Self::Thaw { .. } => "thaw",
            Self::RunCommand { .. } => "run_command",
            Self::Seal { .. } => "seal",
            Self::Publish { .. } => "publish",
            Self::CheckSealed { .. } => "check_sealed",
            Self::SumArtifact { .. } => "sum_artifact",
            Self::Upload { .. } => "upload",
            Self::FetchManifest { .. } => "fetch_manifest",
            Self::Download { .. } => "download",
            Self::Cut { .. } => "cut",
            Self::SendForm { .. } => "send_form",
            Self::FetchForm { .. } => "fetch_form",
            Self::FetchPacks { .. } => "fetch_packs",
            Self::Assemble { .. } => "assemble",
            Self::DropSet { .. } => "drop_set",
            Self::StartFilling { .. } => "start_filling",
            Self::AwaitFilled { .. } => "await_filled",
            Self::EndFilling { .. } => "end_filling",
        }
    }

    /// Whether its undo lets a guest run again. Settling does these first (P3).
    pub fn is_resuming(&self) -> bool {
        matches!(self, Self::Pause { .. } | Self::Freeze { .. })
    }
}
