//! What the sweep wants done, planned anew from the facts of each moment.

use contract::artifact::{ArtifactId, SnapshotArtifact};
use contract::chunked::ChunkSnapshotRequest;
use contract::lazy::LazyRestore;
use contract::machine::{CreateMachineRequest, GuestProtocol, PortName, ResizeMachineRequest};
use contract::restore::{DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::snapshot::CreateSnapshotRequest;
use contract::volume::{AttachVolumeRequest, CreateVolumeRequest};
use contract::{ErrorCode, SnapshotId};
use engine::layout::Layout;
use engine::plan::{
    Facts, FinishedPart, Permission, Plan, Refusal, chunked, command, files, fork, machine, mount,
    published_port, relay, resize, restore, snapshot, upload, volume,
};
use engine::record::{Finding, Machine, Manifest, Snapshot};

use crate::fake::content::Content;
use crate::fake::daemon::ROOT;
use crate::fake::journal_rows::Rows;
use crate::fake::objects::Object;
use crate::fake::vmm::origin;
use crate::fake::{FakeDaemon, State};

use super::forms;
use super::requests::{
    KERNEL, ROOT_IMAGE, STORE, command_job, create_request, machine_id, mount_request,
    publish_request, restore_request, snapshot_id, two_children, upload_request, volume_id,
};

/// An operation that the sweep knows how to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Create a machine.
    Create(&'static str),
    /// Create a machine whose guest was made before there was an agent.
    CreateMmds(&'static str),
    /// Start it.
    Start(&'static str),
    /// Stop it.
    Stop(&'static str),
    /// Delete it.
    Delete(&'static str),
    /// Take a snapshot of a machine.
    Snapshot(&'static str, &'static str),
    /// Take the snapshot of a machine that a fork's children are made of.
    Fork(&'static str),
    /// Name children of a snapshot.
    ForkSnapshot(&'static str),
    /// Restore a snapshot onto memory that its clones share.
    RestoreDense(&'static str, &'static str),
    /// Delete a snapshot.
    DeleteSnapshot(&'static str),
    /// Restore a local snapshot as a machine.
    Restore(&'static str, &'static str),
    /// Restore the same from an object store.
    RestoreDurable(&'static str, &'static str),
    /// Upload a snapshot.
    Upload(&'static str),
    /// Make the chunked form of a snapshot.
    Cut(&'static str),
    /// Send all of it.
    SendForm(&'static str),
    /// Restore from it.
    RestoreForm(&'static str, &'static str),
    /// Restore from it, filled while it runs.
    RestoreLazily(&'static str, &'static str),
    /// Publish a port of a machine.
    Publish(&'static str, &'static str),
    /// Take it back.
    Unpublish(&'static str, &'static str),
    /// Give a machine an exec relay.
    AddRelay(&'static str),
    /// Record a mount.
    Mount(&'static str, &'static str),
    /// Take a mount away.
    Unmount(&'static str, &'static str),
    /// Reach the files of a stopped machine.
    OpenFiles(&'static str),
    /// Run a command in a machine, for an idempotency key.
    Command(&'static str),
    /// Make a volume.
    MakeVolume(&'static str),
    /// Delete it.
    DeleteVolume(&'static str),
    /// Make it larger.
    GrowVolume(&'static str),
    /// Attach a volume to a machine, which may be restarted for it.
    Attach(&'static str, &'static str),
    /// Take it from its machine, which may be restarted for it.
    Detach(&'static str),
    /// Give a machine a larger disk.
    Grow(&'static str),
    /// Give a machine more memory, with a restart.
    Remember(&'static str),
    /// Reconcile after the VMM of a machine ended by itself.
    Retire(&'static str),
}

impl Intent {
    /// Puts what lies behind URLs into the world.
    pub fn furnish(state: &mut State) {
        let mut put = |url: &str, text: &str, size_bytes| {
            state.objects.put(url, Object { content: Content::Text(text.into()), size_bytes });
        };
        put(KERNEL, "a kernel", 10 << 20);
        put(ROOT_IMAGE, "a root image", 1 << 30);
    }

    /// The plan, over the facts of this moment.
    pub fn plan(&self, daemon: &FakeDaemon) -> Result<Plan, Refusal> {
        let durable = match self {
            Self::RestoreDurable(name, _) => Some(publish(daemon, &snapshot_id(name))),
            Self::RestoreForm(name, _) | Self::RestoreLazily(name, _) => {
                Some(forms::publish(daemon, &snapshot_id(name)))
            }
            _ => None,
        };
        let manifest = |rows: &Rows, name: &str| manifest_of(daemon, rows, name);
        daemon.plan(|rows, facts| match self {
            Self::Create(name) => machine::create(&create_request(name), facts),
            Self::CreateMmds(name) => {
                let guest_protocol = GuestProtocol::Mmds;
                let request = CreateMachineRequest { guest_protocol, ..create_request(name) };
                machine::create(&request, facts)
            }
            Self::Start(name) => machine::start(facts.machine(&machine_id(name))?, facts),
            Self::Stop(name) => Ok(machine::stop(facts.machine(&machine_id(name))?, facts)),
            Self::Delete(name) => Ok(machine::delete(facts.machine(&machine_id(name))?, facts)),
            Self::Snapshot(of, name) => {
                let machine = facts.machine(&machine_id(of))?;
                let request = CreateSnapshotRequest::named(snapshot_id(name));
                let origin = origin(machine.vmm, machine.shape);
                snapshot::create(machine, &request, origin, facts)
            }
            Self::Fork(of) => {
                let machine = facts.machine(&machine_id(of))?;
                fork::of_machine(
                    machine,
                    &two_children(),
                    origin(machine.vmm, machine.shape),
                    facts,
                )
            }
            Self::ForkSnapshot(name) => {
                fork::of_snapshot(snapshot_of(rows, name)?, &two_children(), facts)
            }
            Self::RestoreDense(from, name) => {
                let snapshot = snapshot_of(rows, from)?;
                let request = fork::child(machine_id(name), &two_children(), snapshot);
                let source = restore::Source::Local(snapshot);
                plan_restore(&request, &source, &manifest(rows, from)?, facts)
            }
            Self::DeleteSnapshot(name) => snapshot::delete(snapshot_of(rows, name)?, facts),
            Self::Restore(from, name) => {
                let snapshot = snapshot_of(rows, from)?;
                let request = restore_request(
                    name,
                    RestoreSource::Local(LocalSnapshot { snapshot_id: snapshot_id(from) }),
                );
                let source = restore::Source::Local(snapshot);
                plan_restore(&request, &source, &manifest(rows, from)?, facts)
            }
            Self::RestoreDurable(from, name)
            | Self::RestoreForm(from, name)
            | Self::RestoreLazily(from, name) => {
                let durable = durable.clone().expect("made above");
                let source = RestoreSource::Durable(durable.clone());
                let is_lazy = matches!(self, Self::RestoreLazily(..));
                let lazy = is_lazy.then(LazyRestore::default);
                let request = RestoreSnapshotRequest { lazy, ..restore_request(name, source) };
                let source = restore::Source::Durable(&durable);
                plan_restore(&request, &source, &manifest(rows, from)?, facts)
            }
            Self::Cut(name) => {
                let request = ChunkSnapshotRequest::default();
                let cut = chunked::cut(snapshot_of(rows, name)?, &request, None, facts)?;
                let has_it = || Refusal::new(ErrorCode::WrongState, format!("{name} has a form"));
                cut.ok_or_else(has_it)
            }
            Self::SendForm(name) => {
                chunked::send(snapshot_of(rows, name)?, &forms::upload_request(), facts)
            }
            Self::Command(name) => {
                command::run(facts.machine(&machine_id(name))?, command_job(), facts)
            }
            Self::Upload(name) => {
                let snapshot = snapshot_of(rows, name)?;
                upload::plan(snapshot, &upload_request(snapshot), &known_parts(rows), facts)
            }
            Self::Publish(of, name) => {
                let request = publish_request(name);
                published_port::create(facts.machine(&machine_id(of))?, &request, facts)
            }
            Self::Unpublish(of, name) => {
                let port =
                    facts.published_port(&machine_id(of), &publish_request(name).published_port_id);
                let missing = || Refusal::new(ErrorCode::NotFound, format!("no port {name}"));
                Ok(published_port::delete(port.ok_or_else(missing)?, facts))
            }
            Self::AddRelay(of) => {
                relay::add(facts.machine(&machine_id(of))?, PortName::Exec, facts)
            }
            Self::Mount(of, name) => {
                mount::create(&mount_request(name), facts.machine(&machine_id(of))?, facts)
            }
            Self::Unmount(of, name) => {
                let machine = facts.machine(&machine_id(of))?;
                let id = mount_request(name).mount_id;
                let missing = || Refusal::new(ErrorCode::NotFound, format!("no mount {id}"));
                Ok(mount::delete(machine, mount::find(machine, &id).ok_or_else(missing)?, facts))
            }
            Self::OpenFiles(name) => files::open(facts.machine(&machine_id(name))?, facts),
            Self::MakeVolume(name) => volume::create(
                &CreateVolumeRequest { volume_id: volume_id(name), size_bytes: 1 << 30 },
                facts,
            ),
            Self::DeleteVolume(name) => volume::delete(facts.volume(&volume_id(name))?, facts),
            Self::GrowVolume(name) => {
                let volume = facts.volume(&volume_id(name))?;
                volume::grow(volume, volume.size_bytes + (1 << 30), facts)
            }
            Self::Attach(name, to) => {
                let request = AttachVolumeRequest { machine_id: machine_id(to), restart: true };
                volume::attach(facts.volume(&volume_id(name))?, &request, facts)
            }
            Self::Detach(name) => {
                volume::detach(facts.volume(&volume_id(name))?, Permission::Restart, facts)
            }
            Self::Grow(name) => {
                let machine = facts.machine(&machine_id(name))?;
                let storage_bytes = Some(machine.storage_bytes + (1 << 30));
                resized(
                    machine,
                    ResizeMachineRequest { storage_bytes, ..Default::default() },
                    facts,
                )
            }
            Self::Remember(name) => {
                let request = ResizeMachineRequest {
                    memory_mib: Some(512),
                    storage_bytes: None,
                    restart: true,
                };
                resized(facts.machine(&machine_id(name))?, request, facts)
            }
            Self::Retire(name) => {
                Err(Refusal::new(ErrorCode::WrongState, format!("{name} is retired by reconcile")))
            }
        })
    }

    /// What frees the name that this took, so that it can be taken again.
    pub fn inverse(&self) -> Option<Self> {
        match self {
            Self::Create(name)
            | Self::CreateMmds(name)
            | Self::Restore(_, name)
            | Self::RestoreDense(_, name)
            | Self::RestoreForm(_, name)
            | Self::RestoreLazily(_, name)
            | Self::RestoreDurable(_, name) => Some(Self::Delete(name)),
            Self::Snapshot(_, name) => Some(Self::DeleteSnapshot(name)),
            Self::Start(name) => Some(Self::Stop(name)),
            Self::Mount(of, name) => Some(Self::Unmount(of, name)),
            Self::Unmount(of, name) => Some(Self::Mount(of, name)),
            Self::Stop(name) => Some(Self::Start(name)),
            Self::Delete(name) => Some(Self::Create(name)),
            Self::Publish(of, name) => Some(Self::Unpublish(of, name)),
            Self::Unpublish(of, name) => Some(Self::Publish(of, name)),
            Self::MakeVolume(name) => Some(Self::DeleteVolume(name)),
            Self::DeleteVolume(name) => Some(Self::MakeVolume(name)),
            Self::Attach(name, _) => Some(Self::Detach(name)),
            Self::DeleteSnapshot(_)
            | Self::Fork(_)
            | Self::ForkSnapshot(_)
            | Self::Upload(_)
            | Self::Cut(_)
            | Self::SendForm(_)
            | Self::Command(_)
            | Self::Retire(_)
            | Self::AddRelay(_)
            | Self::OpenFiles(_)
            | Self::GrowVolume(_)
            | Self::Detach(_)
            | Self::Grow(_)
            | Self::Remember(_) => None,
        }
    }
}

fn resized(
    machine: &Machine,
    request: ResizeMachineRequest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let has_it = || Refusal::new(ErrorCode::WrongState, format!("{} has that size", machine.id));
    resize::plan(machine, &request, facts)?.ok_or_else(has_it)
}

fn plan_restore(
    request: &RestoreSnapshotRequest,
    source: &restore::Source<'_>,
    manifest: &Manifest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let host = &manifest.origin.host;
    restore::plan(request, source, manifest, &origin(host.vmm, host.shape), facts)
}

fn snapshot_of<'a>(rows: &'a Rows, name: &str) -> Result<&'a Snapshot, Refusal> {
    let missing = || Refusal::new(ErrorCode::NotFound, format!("no snapshot {name}"));
    rows.snapshots.get(&snapshot_id(name)).ok_or_else(missing)
}

fn manifest_of(daemon: &FakeDaemon, _rows: &Rows, name: &str) -> Result<Manifest, Refusal> {
    let dir = Layout::new(ROOT).snapshot(&snapshot_id(name));
    crate::fake::chunks::manifest_in(&daemon.world().lock(), &dir)
        .map_err(|error| Refusal::new(ErrorCode::NotFound, error.chain()))
}

/// Puts the files of a snapshot behind URLs, as an upload and its completion would.
pub(super) fn publish(daemon: &FakeDaemon, id: &SnapshotId) -> DurableSnapshot {
    let dir = Layout::new(ROOT).snapshot(id);
    let mut state = daemon.world().lock();
    let artifacts =
        [ArtifactId::VmState, ArtifactId::Memory, ArtifactId::DiskSystem, ArtifactId::Manifest];
    let signed = artifacts.map(|artifact| {
        let url = format!("{STORE}/{id}/{artifact}");
        let file = state.disk.file(&dir.join(artifact.file_name()));
        let object = file.map(|(_, inode)| Object {
            content: inode.content.clone(),
            size_bytes: inode.size_bytes,
        });
        // After the snapshot is deleted here, what was put there stays there.
        if let Ok(object) = object {
            state.objects.put(&url, object);
        }
        let (sha256_hex, size_bytes) = match state.objects.read(&url) {
            Some(object) => (Some(object.content.sha256()), object.size_bytes),
            None => (None, 0),
        };
        SnapshotArtifact {
            id: artifact,
            size_bytes,
            sha256_hex,
            object_key: None,
            download_url: Some(url.parse().expect("a URL of a test")),
        }
    });
    DurableSnapshot {
        snapshot_id: Some(id.clone()),
        artifacts: signed.to_vec(),
        ..DurableSnapshot::default()
    }
}

fn known_parts(rows: &Rows) -> Vec<FinishedPart> {
    let findings = rows.operations.values().flat_map(|operation| &operation.findings);
    findings.filter_map(|finding: &Finding| crate::fake::journal::finished(finding)).collect()
}
