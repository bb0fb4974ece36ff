//! Plans of a machine's life: create, start, stop, delete, and what is done about a VMM that ended by itself.

use contract::ErrorCode;
use contract::machine::{ArtifactRef, CreateMachineRequest, GuestProtocol};
use contract::operation::OperationKind;
use contract::{ArtifactUrl, Sha256Hex};
use jiff::SignedDuration;

use crate::claim::Claim;
use crate::layout::machine_file;
use crate::phase::{Phase, Run};
use crate::port::{Boot, DiskSource, GuestMemory, Launch, LaunchSpec};
use crate::record::{Machine, Memory, Shape, Slot, VmmKind, Volume};
use crate::step::Step;

use super::{Change, Facts, Hold, Plan, Refusal, filling};

/// More RAM than any guest under these VMMs can use.
const MEMORY_MIB: std::ops::RangeInclusive<u64> = 64..=(1 << 20);
const VCPUS: std::ops::RangeInclusive<u32> = 1..=32;
const STORAGE_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 40);

/// Makes a machine from a kernel and a root image.
pub fn create(request: &CreateMachineRequest, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    let settings = facts.settings;
    let id = &request.machine_id;
    facts.machine_is_new(id)?;
    artifact_is_allowed(&request.artifact, facts)?;
    protocol_is_spoken(request.guest_protocol, settings.vmm)?;
    let shape = Shape {
        vcpus: request.vcpus.unwrap_or(settings.defaults.vcpus),
        memory_mib: request.memory_mib.unwrap_or(settings.defaults.memory_mib),
    };
    let storage_bytes = request.storage_bytes.unwrap_or(settings.defaults.storage_bytes);
    sizes_are_sane(shape, storage_bytes)?;
    let tuning = super::tuning::of(request, settings.vmm)?;
    facts.own_volumes_are_new(id, &[])?;
    let volumes = facts.free_volumes(&request.user_volume_ids)?;
    facts.room_for(shape.memory_mib, storage_bytes)?;

    let machine = Machine {
        id: id.clone(),
        artifact: request.artifact.clone(),
        shape,
        storage_bytes,
        vmm: settings.vmm,
        guest_protocol: request.guest_protocol,
        ready_ports: request.ready_ports.clone(),
        egress: request.egress,
        tuning,
        guest_config: request.guest_config.clone().unwrap_or_default(),
        user_volume_ids: request.user_volume_ids.clone(),
        relays: facts.relays_for_start(&[])?,
        memory: Memory::Own,
        filling: None,
        restored_from: None,
        machine_id_hex: format!("{:032x}", facts.random),
        identity: None,
        agent_version: None,
        ssh_host_public_key: None,
        mounts: vec![],
        phase: Phase::Stopped { reason: None },
        created_at: facts.now,
        started_at: Some(facts.now),
    };
    let slot = facts.free_slot()?;
    let launch = launch_of(&machine, facts);
    let dir = &launch.dir;
    let artifact = &request.artifact;
    let mut prepare = vec![Step::MakeDir { dir: dir.clone() }];
    prepare.extend(place_kernel(artifact, &launch));
    prepare.push(Step::CloneFile {
        source: artifact_source(&artifact.rootfs_url, artifact.rootfs_sha256_hex.as_ref()),
        to: dir.join(machine_file::SYSTEM_DISK),
        size_bytes: Some(storage_bytes),
        owner: Some(slot.uid),
    });
    if !volumes.is_empty() {
        let paths = volumes.iter().map(|volume| facts.disk_path(&machine, &volume.id)).collect();
        prepare.push(Step::GiveTo { paths, owner: slot.uid });
    }
    prepare.extend(run(&machine, &launch, &slot, Boot::Cold, facts));

    let mut claims = vec![Claim::machine(id)];
    claims.extend(volumes.iter().map(|volume| Claim::volume(&volume.id)));
    let new_volumes = std::iter::once(system_volume(&machine))
        .chain(
            volumes
                .into_iter()
                .map(|volume| Volume { attached: Some(id.clone()), ..volume.clone() }),
        )
        .collect();
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CreateMachine,
        resource_id: id.to_string(),
        claims,
        hold: Hold::UntilCommit,
        prepare,
        finish: await_ready(&launch),
        commit: started(machine, new_volumes, launch, slot, facts),
    })
}

/// Starts a stopped machine from its disks. The caller has seen to `running` and `starting`, which are answered as they are.
pub fn start(machine: &Machine, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    match &machine.phase {
        Phase::Stopped { .. } => {}
        phase => {
            return Err(Refusal::new(
                ErrorCode::WrongState,
                format!("machine {} is {}", machine.id, phase.public().as_str()),
            ));
        }
    }
    facts.room_for(machine.shape.memory_mib, 0)?;
    let slot = facts.free_slot()?;
    let mut machine = machine.clone();
    machine.started_at = Some(facts.now);
    machine.identity = None;
    machine.relays = facts.relays_for_start(&machine.relays)?;
    let launch = launch_of(&machine, facts);
    let paths = facts.disks_of(&machine).into_iter().map(|disk| disk.path).collect();
    let mut prepare = filling::settled(&machine);
    machine.filling = None;
    prepare.push(Step::GiveTo { paths, owner: slot.uid });
    prepare.extend(run(&machine, &launch, &slot, Boot::Cold, facts));
    let id = machine.id.clone();
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::StartMachine,
        resource_id: id.to_string(),
        claims: vec![Claim::machine(&id)],
        hold: Hold::UntilCommit,
        prepare,
        finish: await_ready(&launch),
        commit: started(machine, vec![], launch, slot, facts),
    })
}

/// Stops a machine: the guest is asked, waited for, and ended. The caller has seen to machines that are stopped.
pub fn stop(machine: &Machine, facts: &Facts<'_>) -> Plan {
    let ask = machine.phase.run().filter(|_| !matches!(machine.phase, Phase::Failed { .. }));
    let prepare = ask.map(|run| Step::ShutDown {
        launch: run.launch.clone(),
        protocol: machine.guest_protocol,
        deadline_ms: facts.settings.deadlines.stop_ms,
    });
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::StopMachine,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: prepare.into_iter().collect(),
        commit: Change::MachineStopped { machine: machine.id.clone(), reason: None },
        finish: release(machine.phase.run()),
    }
}

/// Records that a VMM ended by itself and releases what it held.
pub fn retire(machine: &Machine, run: &Run, change: Change, facts: &Facts<'_>) -> Plan {
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::RetireMachine,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: change,
        finish: release(Some(run)),
    }
}

/// Deletes a machine with all that goes with it. Volumes made through the API outlive it.
pub fn delete(machine: &Machine, facts: &Facts<'_>) -> Plan {
    let layout = &facts.settings.layout;
    let mut finish = release(machine.phase.run());
    let filling = machine.filling.as_ref();
    finish.extend(filling.map(|filling| Step::EndFilling { place: filling.place.clone() }));
    finish.push(Step::RemoveTree {
        dir: layout.machine(&machine.id),
        scratch: layout.scratch(&facts.operation),
    });
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::DeleteMachine,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::MachineRemoved { machine: machine.id.clone() },
        finish,
    }
}

/// The steps from a VMM that runs to a machine that is `running`, with all its relays open.
pub(super) fn await_ready(launch: &Launch) -> Vec<Step> {
    let machine = launch.machine.clone();
    let waits = Step::AwaitReady { machine: machine.clone(), launch: launch.clone() };
    vec![waits, Step::ServeRelays { machine }]
}

/// The steps that end a run and give back what it held.
pub(super) fn release(run: Option<&Run>) -> Vec<Step> {
    let steps = run.map(|run| {
        [Step::EndRun { launch: run.launch.clone() }, Step::DestroySlot { slot: run.slot.clone() }]
    });
    steps.into_iter().flatten().collect()
}

/// The launch that this operation makes of a machine.
pub(super) fn launch_of(machine: &Machine, facts: &Facts<'_>) -> Launch {
    Launch {
        machine: machine.id.clone(),
        operation: facts.operation.clone(),
        vmm: machine.vmm,
        dir: facts.settings.layout.machine(&machine.id),
    }
}

/// The steps from a machine's directory to a running VMM.
pub(super) fn run(
    machine: &Machine,
    launch: &Launch,
    slot: &Slot,
    boot: Boot,
    facts: &Facts<'_>,
) -> [Step; 2] {
    let dir = &launch.dir;
    let memory = match &machine.memory {
        Memory::Own => GuestMemory::Own { path: dir.join(machine_file::MEMORY) },
        Memory::Sealed { snapshot } => GuestMemory::Sealed {
            path: facts
                .settings
                .layout
                .snapshot(snapshot)
                .join(crate::layout::snapshot_file::MEMORY),
        },
    };
    let initrd = machine.artifact.initrd_url.is_some().then(|| dir.join(machine_file::INITRD));
    let mut spec = LaunchSpec {
        launch: launch.clone(),
        shape: machine.shape,
        kernel: dir.join(machine_file::KERNEL),
        initrd,
        memory,
        disks: facts.disks_of(machine),
        slot: slot.clone(),
        boot,
        tuning: machine.tuning,
    };
    if let Some(filling) = &machine.filling
        && !spec.boot.is_from_kernel()
    {
        filling::show(&mut spec, &filling.place);
    }
    [Step::BuildSlot { slot: slot.clone() }, Step::Launch { spec: Box::new(spec) }]
}

/// Kernel and initrd, placed in the machine's directory.
pub(super) fn place_kernel(artifact: &ArtifactRef, launch: &Launch) -> Vec<Step> {
    let kernel = Step::PlaceArtifact {
        source: artifact_source(&artifact.kernel_image_url, artifact.kernel_sha256_hex.as_ref()),
        to: launch.dir.join(machine_file::KERNEL),
    };
    let initrd = artifact.initrd_url.as_ref().map(|url| Step::PlaceArtifact {
        source: artifact_source(url, artifact.initrd_sha256_hex.as_ref()),
        to: launch.dir.join(machine_file::INITRD),
    });
    std::iter::once(kernel).chain(initrd).collect()
}

/// The commit of a launch.
pub(super) fn started(
    machine: Machine,
    new_volumes: Vec<Volume>,
    launch: Launch,
    slot: Slot,
    facts: &Facts<'_>,
) -> Change {
    let start_ms = i64::try_from(facts.settings.deadlines.start_ms).unwrap_or(i64::MAX);
    let deadline = facts
        .now
        .checked_add(SignedDuration::from_millis(start_ms))
        .unwrap_or(jiff::Timestamp::MAX);
    Change::MachineStarted {
        machine: Box::new(machine),
        new_volumes,
        launch,
        slot,
        handle: None,
        deadline,
    }
}

/// The volume record of a machine's system disk.
pub(super) fn system_volume(machine: &Machine) -> Volume {
    Volume {
        id: machine.system_volume_id(),
        attached: Some(machine.id.clone()),
        goes_with: Some(machine.id.clone()),
        size_bytes: machine.storage_bytes,
        created_at: machine.created_at,
    }
}

fn artifact_source(url: &ArtifactUrl, sha256: Option<&Sha256Hex>) -> DiskSource {
    DiskSource::Artifact { url: url.clone(), sha256_hex: sha256.cloned() }
}

/// `file` URLs only beneath the configured directories. Symlinks are the adapter's to refuse.
pub(super) fn artifact_is_allowed(
    artifact: &ArtifactRef,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    let urls = [Some(&artifact.kernel_image_url), Some(&artifact.rootfs_url)];
    for url in urls.into_iter().chain([artifact.initrd_url.as_ref()]).flatten() {
        let url = url.as_url();
        if url.scheme() != "file" {
            continue;
        }
        let path =
            url.to_file_path().ok().and_then(|path| path.into_os_string().into_string().ok());
        let is_allowed = path.is_some_and(|path| {
            let path = camino::Utf8Path::new(&path);
            let is_plain =
                path.components().all(|part| !matches!(part, camino::Utf8Component::ParentDir));
            is_plain && facts.settings.image_dirs.iter().any(|dir| path.starts_with(dir))
        });
        if !is_allowed {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                "a file URL must lie beneath one of the configured image_dirs",
            ));
        }
    }
    Ok(())
}

fn protocol_is_spoken(protocol: GuestProtocol, vmm: VmmKind) -> Result<(), Refusal> {
    match (protocol, vmm) {
        (GuestProtocol::Mmds, VmmKind::Qemu) => Err(Refusal::new(
            ErrorCode::Refused,
            "guest_protocol mmds needs Firecracker, which this host does not run",
        )),
        (GuestProtocol::Agent | GuestProtocol::None, _)
        | (GuestProtocol::Mmds, VmmKind::Firecracker) => Ok(()),
    }
}

/// Refuses sizes that no guest under these VMMs can have.
pub(super) fn sizes_are_sane(shape: Shape, storage_bytes: u64) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::new(ErrorCode::Refused, what));
    if !MEMORY_MIB.contains(&shape.memory_mib) {
        return refuse(format!("memory_mib must be within {MEMORY_MIB:?}"));
    }
    if !VCPUS.contains(&shape.vcpus) {
        return refuse(format!("vcpus must be within {VCPUS:?}"));
    }
    if !STORAGE_BYTES.contains(&storage_bytes) {
        return refuse(format!("storage_bytes must be within {STORAGE_BYTES:?}"));
    }
    Ok(())
}
