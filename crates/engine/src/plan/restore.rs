//! The plan of a restore: from a snapshot that lies here, or from pre-signed URLs. Both end in the same launch.

use contract::ErrorCode;
use contract::artifact::{ArtifactId, SnapshotArtifact};
use contract::chunked::ChunkedSource;
use contract::lazy::LazyRestore;
use contract::machine::GuestProtocol;
use contract::operation::OperationKind;
use contract::restore::{DurableSnapshot, RestoreSnapshotRequest, Verify};
use contract::{PresignedUrl, Sha256Hex, VolumeId};

use crate::claim::Claim;
use crate::layout::machine_file;
use crate::phase::Phase;
use crate::port::{
    Boot, CheckDepth, DiskSource, DownloadTarget, FilledFile, FormTarget, FormUrl, PackPut,
};
use crate::record::{
    FillingRecord, Machine, Manifest, Memory, Mount, MountState, Origin, Slot, Snapshot,
    SnapshotOrigin, VmmKind, Volume,
};
use crate::step::Step;

use super::machine::{
    artifact_is_allowed, await_ready, launch_of, place_kernel, run, started, system_volume,
};
use super::snapshot::is_whole;
use super::{Facts, Hold, Plan, Refusal, compatibility, filling};

/// Where the bytes are.
#[derive(Debug)]
pub enum Source<'a> {
    /// In a published snapshot of this host.
    Local(&'a Snapshot),
    /// Behind pre-signed GETs.
    Durable(&'a DurableSnapshot),
}

/// Makes a machine from a snapshot. `manifest` was read and verified; `here` is what a snapshot taken here would depend on.
pub fn plan(
    request: &RestoreSnapshotRequest,
    source: &Source<'_>,
    manifest: &Manifest,
    here: &Origin,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &request.machine_id;
    let origin = &manifest.origin;
    facts.machine_is_new(id)?;
    artifact_is_allowed(&request.artifact, facts)?;
    if let Source::Local(snapshot) = source {
        is_whole(snapshot)?;
    }
    compatibility::check(&origin.host, here)?;
    let memory = memory(request, source, origin)?;
    if request.memory_mib.is_some_and(|mib| mib != origin.host.shape.memory_mib) {
        return Err(Refusal::new(
            ErrorCode::Refused,
            format!("memory_mib is fixed by the snapshot: {}", origin.host.shape.memory_mib),
        ));
    }
    let storage_bytes = storage(request, manifest)?;
    let user_disks = user_disks(manifest);
    let user_bytes = user_disks.iter().map(|(_, size)| size).sum::<u64>();
    let memory_mib = facts.memory_of(&memory, origin.host.shape.memory_mib);
    facts.room_for(memory_mib, storage_bytes.saturating_add(user_bytes))?;

    let user_volume_ids: Vec<VolumeId> =
        (1..).take(user_disks.len()).map(|number| VolumeId::user_of(id, number)).collect();
    facts.own_volumes_are_new(id, &user_volume_ids)?;
    let lazy = filling::asked(request, source, origin.host.vmm)?;
    let mut machine = Machine {
        id: id.clone(),
        artifact: request.artifact.clone(),
        shape: origin.host.shape,
        storage_bytes,
        vmm: origin.host.vmm,
        guest_protocol: origin.guest_protocol,
        ready_ports: origin.ready_ports.clone(),
        egress: origin.egress,
        tuning: origin.tuning,
        guest_config: request.guest_config.clone().unwrap_or_default(),
        user_volume_ids,
        relays: facts.relays_for_start(&[])?,
        memory,
        filling: None,
        restored_from: Some(origin.snapshot.clone()),
        machine_id_hex: format!("{:032x}", facts.random),
        identity: None,
        agent_version: None,
        ssh_host_public_key: None,
        mounts: inherited_mounts(source, origin, facts),
        phase: Phase::Stopped { reason: None },
        created_at: facts.now,
        started_at: Some(facts.now),
    };
    if lazy.is_some() {
        let place = filling::place_of(&machine, facts);
        machine.filling = Some(FillingRecord { place, missing_bytes: None });
    }
    let slot = facts.free_slot()?;
    let launch = launch_of(&machine, facts);
    let mut prepare = vec![Step::MakeDir { dir: launch.dir.clone() }];
    let files = Placement { manifest, machine: &machine, slot: &slot, facts };
    match source {
        Source::Local(_) => prepare.extend(files.local(depth(request.verify))),
        Source::Durable(durable) => prepare.extend(match (&durable.chunked, lazy) {
            (_, Some(lazy)) => files.filled(lazy),
            (Some(chunked), None) => files.chunked(chunked),
            (None, None) => files.durable(durable)?,
        }),
    }
    prepare.extend(place_kernel(&request.artifact, &launch));
    prepare.extend(inherited_secrets(&machine, origin, facts));
    let boot = Boot::Restore {
        vmstate: launch.dir.join(machine_file::VMSTATE),
        tsc_khz: origin.host.tsc_khz,
        vmm_sha256: origin.host.vmm_sha256.clone(),
    };
    prepare.extend(run(&machine, &launch, &slot, boot, facts));
    if origin.guest_protocol == GuestProtocol::Agent {
        prepare.push(Step::ConnectAhead {
            launch: launch.clone(),
            deadline_ms: facts.settings.deadlines.agent_ms,
        });
    }
    // The guest's processes are frozen in the snapshot: what runs on is the agent, until it has confirmed.
    prepare.push(Step::Resume { launch: launch.clone() });

    let new_volumes = std::iter::once(system_volume(&machine))
        .chain(machine.user_volume_ids.iter().zip(&user_disks).map(|(volume, (_, size))| Volume {
            id: volume.clone(),
            attached: Some(id.clone()),
            goes_with: Some(id.clone()),
            size_bytes: *size,
            created_at: facts.now,
        }))
        .collect();
    let mut claims = vec![Claim::machine(id)];
    if let Source::Local(snapshot) = source {
        claims.push(Claim::read_snapshot(&snapshot.origin.snapshot));
    }
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::RestoreSnapshot,
        resource_id: id.to_string(),
        claims,
        hold: Hold::UntilCommit,
        prepare,
        finish: await_ready(&launch),
        commit: started(machine, new_volumes, launch, slot, facts),
    })
}

/// Firecracker always maps memory privately; QEMU, unless asked to be dense, maps a clone of the machine's own, so that it can be
/// cloned again.
fn memory(
    request: &RestoreSnapshotRequest,
    source: &Source<'_>,
    origin: &SnapshotOrigin,
) -> Result<Memory, Refusal> {
    match (source, origin.host.vmm, request.dense) {
        (Source::Local(_), VmmKind::Firecracker, _) | (Source::Local(_), VmmKind::Qemu, true) => {
            Ok(Memory::Sealed { snapshot: origin.snapshot.clone() })
        }
        (Source::Local(_), VmmKind::Qemu, false) | (Source::Durable(_), _, false) => {
            Ok(Memory::Own)
        }
        (Source::Durable(_), VmmKind::Firecracker, true) => Ok(Memory::Own),
        (Source::Durable(_), VmmKind::Qemu, true) => Err(Refusal::new(
            ErrorCode::Refused,
            "dense restores share the memory of a snapshot of this host; leave `dense` out",
        )),
    }
}

/// What the source mounts, where it is a machine of this host still: the clone mounts the same, once it is itself.
fn inherited_mounts(source: &Source<'_>, origin: &SnapshotOrigin, facts: &Facts<'_>) -> Vec<Mount> {
    match (source, facts.machine(&origin.machine)) {
        (Source::Local(_), Ok(original)) => original
            .mounts
            .iter()
            .map(|mount| Mount { state: MountState::Pending, ..mount.clone() })
            .collect(),
        (Source::Durable(_), _) | (Source::Local(_), Err(_)) => vec![],
    }
}

/// Their secrets, in a directory of the clone's own.
fn inherited_secrets(machine: &Machine, origin: &SnapshotOrigin, facts: &Facts<'_>) -> Vec<Step> {
    let layout = &facts.settings.layout;
    let Some(first) = machine.mounts.first() else { return vec![] };
    let dir = layout.mount_secret(&machine.id, &first.made_by);
    let dir = dir.parent().map(ToOwned::to_owned).unwrap_or_default();
    let mut steps = vec![Step::MakeDir { dir }];
    steps.extend(machine.mounts.iter().map(|mount| Step::CloneFile {
        source: DiskSource::File { path: layout.mount_secret(&origin.machine, &mount.made_by) },
        to: layout.mount_secret(&machine.id, &mount.made_by),
        size_bytes: None,
        owner: None,
    }));
    steps
}

/// How the files of a snapshot come to lie in the machine's directory.
struct Placement<'a> {
    manifest: &'a Manifest,
    machine: &'a Machine,
    slot: &'a Slot,
    facts: &'a Facts<'a>,
}

impl Placement<'_> {
    fn local(&self, depth: CheckDepth) -> Vec<Step> {
        let dir = self.facts.settings.layout.snapshot(&self.manifest.origin.snapshot);
        let mut steps = vec![Step::CheckSealed {
            snapshot: self.manifest.origin.snapshot.clone(),
            dir: dir.clone(),
            depth,
        }];
        let own = self.manifest.files.iter().filter(|file| self.is_cloned(file.artifact));
        steps.extend(own.map(|file| Step::CloneFile {
            source: DiskSource::File { path: dir.join(file.artifact.file_name()) },
            to: self.target(file.artifact),
            size_bytes: self.grown(file.artifact),
            owner: Some(self.slot.uid),
        }));
        steps
    }

    /// Memory that is mapped privately stays where it is sealed, and all clones share its page cache.
    fn is_cloned(&self, artifact: ArtifactId) -> bool {
        match &self.machine.memory {
            Memory::Own => true,
            Memory::Sealed { .. } => artifact != ArtifactId::Memory,
        }
    }

    fn durable(&self, snapshot: &DurableSnapshot) -> Result<Vec<Step>, Refusal> {
        let dir = self.facts.settings.layout.machine(&self.machine.id);
        let (url, sha256) = signed_manifest(snapshot)?;
        let mut steps = vec![Step::FetchManifest {
            url: url.clone(),
            sha256: sha256.clone(),
            dir: dir.clone(),
        }];
        for file in &self.manifest.files {
            let artifact = find(snapshot, file.artifact)?;
            if artifact.size_bytes != 0 && artifact.size_bytes != file.size_bytes {
                return Err(Refusal::new(
                    ErrorCode::DigestMismatch,
                    format!(
                        "artifact {}: size {} is not the manifest's {}",
                        file.artifact, artifact.size_bytes, file.size_bytes
                    ),
                ));
            }
            steps.push(Step::Download {
                target: Box::new(DownloadTarget {
                    artifact: file.artifact,
                    url: download_url(artifact)?.clone(),
                    to: self.target(file.artifact),
                    size_bytes: self.grown(file.artifact),
                    owner: Some(self.slot.uid),
                }),
                manifest_dir: dir.clone(),
            });
        }
        Ok(steps)
    }

    /// Document, packs, then each file; the packs go when all are there.
    fn chunked(&self, source: &ChunkedSource) -> Vec<Step> {
        let layout = &self.facts.settings.layout;
        let dir = layout.machine(&self.machine.id);
        let packs = dir.join(machine_file::PACKS);
        let urls = source
            .packs
            .iter()
            .map(|pack| PackPut { pack: pack.pack_id.clone(), url: pack.download_url.clone() });
        let form = Box::new(form_url(source));
        let mut steps = vec![
            Step::FetchForm { form, dir: dir.clone() },
            Step::FetchPacks { document: dir.clone(), packs: urls.collect(), to: packs.clone() },
        ];
        steps.extend(self.manifest.files.iter().map(|file| Step::Assemble {
            target: Box::new(FormTarget {
                artifact: file.artifact,
                document: dir.clone(),
                packs: packs.clone(),
                to: self.target(file.artifact),
                size_bytes: self.grown(file.artifact),
                owner: Some(self.slot.uid),
                key: source.key.clone(),
            }),
        }));
        let scratch = layout.scratch(&self.facts.operation);
        steps.push(Step::RemoveTree { dir: packs, scratch });
        steps
    }

    /// The document; all files come while the machine runs.
    fn filled(&self, lazy: (&LazyRestore, &ChunkedSource)) -> Vec<Step> {
        let Self { manifest, machine, slot, facts } = *self;
        let place = filling::place_of(machine, facts);
        filling::begin(lazy, &place, manifest, slot, facts, |artifact| FilledFile {
            artifact,
            to: self.target(artifact),
            size_bytes: self.grown(artifact),
        })
    }

    fn target(&self, artifact: ArtifactId) -> camino::Utf8PathBuf {
        let dir = self.facts.settings.layout.machine(&self.machine.id);
        match artifact {
            ArtifactId::Memory => dir.join(machine_file::MEMORY),
            other => dir.join(other.file_name()),
        }
    }

    fn grown(&self, artifact: ArtifactId) -> Option<u64> {
        (artifact == ArtifactId::DiskSystem).then_some(self.machine.storage_bytes)
    }
}

/// Where the document of a chunked form is, and what opens it.
pub fn form_url(source: &ChunkedSource) -> FormUrl {
    FormUrl {
        url: source.manifest_url.clone(),
        sha256: source.manifest_sha256_hex.clone(),
        key: source.key.clone(),
    }
}

/// The manifest artifact of a durable snapshot: without it and its digest nothing can be verified.
pub fn signed_manifest(snapshot: &DurableSnapshot) -> Result<(&PresignedUrl, &Sha256Hex), Refusal> {
    let unverifiable = |what: &str| Refusal::new(ErrorCode::Unverifiable, what);
    let manifest = find(snapshot, ArtifactId::Manifest)
        .map_err(|_| unverifiable("a durable restore needs the manifest artifact"))?;
    let sha256 = manifest
        .sha256_hex
        .as_ref()
        .ok_or_else(|| unverifiable("the manifest artifact needs its sha256_hex"))?;
    Ok((download_url(manifest)?, sha256))
}

fn find(snapshot: &DurableSnapshot, id: ArtifactId) -> Result<&SnapshotArtifact, Refusal> {
    let mut found = snapshot.artifacts.iter().filter(|artifact| artifact.id == id);
    match (found.next(), found.next()) {
        (Some(artifact), None) => Ok(artifact),
        (None, _) => Err(Refusal::new(ErrorCode::Refused, format!("artifact {id} is not given"))),
        (Some(_), Some(_)) => {
            Err(Refusal::new(ErrorCode::Refused, format!("artifact {id} is given twice")))
        }
    }
}

fn download_url(artifact: &SnapshotArtifact) -> Result<&PresignedUrl, Refusal> {
    artifact.download_url.as_ref().ok_or_else(|| {
        Refusal::new(ErrorCode::Refused, format!("artifact {} has no download_url", artifact.id))
    })
}

fn user_disks(manifest: &Manifest) -> Vec<(ArtifactId, u64)> {
    manifest
        .files
        .iter()
        .filter(|file| matches!(file.artifact, ArtifactId::DiskUser(_)))
        .map(|file| (file.artifact, file.size_bytes))
        .collect()
}

fn storage(request: &RestoreSnapshotRequest, manifest: &Manifest) -> Result<u64, Refusal> {
    let sealed = manifest
        .files
        .iter()
        .find(|file| file.artifact == ArtifactId::DiskSystem)
        .map(|file| file.size_bytes)
        .ok_or_else(|| Refusal::new(ErrorCode::Refused, "the manifest has no system disk"))?;
    match request.storage_bytes {
        Some(wanted) if wanted < sealed => Err(Refusal::new(
            ErrorCode::Refused,
            format!("storage_bytes {wanted} is smaller than the snapshot's disk, {sealed}"),
        )),
        Some(wanted) => Ok(wanted),
        None => Ok(sealed),
    }
}

fn depth(verify: Verify) -> CheckDepth {
    match verify {
        Verify::Sealed => CheckDepth::Identity,
        Verify::Full => CheckDepth::Full,
    }
}
