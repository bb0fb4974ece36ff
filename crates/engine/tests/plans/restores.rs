//! Restores, from a snapshot here and from pre-signed URLs.

use contract::artifact::{ArtifactId, SnapshotArtifact};
use contract::operation::OperationKind;
use contract::restore::{
    DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource, Verify,
};
use contract::{ErrorCode, PresignedUrl, Sha256Hex};
use engine::claim::Claim;
use engine::plan::restore::{self, Source};
use engine::plan::{Change, Hold, Plan};
use engine::port::{Boot, CheckDepth, Disk, DiskSource, DownloadTarget, GuestMemory, LaunchSpec};
use engine::record::{Machine, Manifest, ManifestFile, SnapshotState, Tuning};
use engine::step::Step;
use jiff::SignedDuration;

use super::facts::{
    Moment, artifact, await_ready, machine, machine_id, now, origin, shape, slot, snapshot,
    snapshot_id, snapshot_origin, system_volume, this, this_launch,
};

const FILES: [(ArtifactId, u64); 3] = [
    (ArtifactId::VmState, 65_536),
    (ArtifactId::Memory, 256 << 20),
    (ArtifactId::DiskSystem, 2 << 30),
];

pub(crate) fn manifest() -> Manifest {
    let file =
        |(artifact, size_bytes)| ManifestFile { artifact, size_bytes, data_bytes: size_bytes };
    Manifest { origin: snapshot_origin("saved"), files: FILES.map(file).to_vec() }
}

fn request(source: RestoreSource) -> RestoreSnapshotRequest {
    RestoreSnapshotRequest::named(machine_id("clone"), artifact(), source)
}

fn local() -> RestoreSource {
    RestoreSource::Local(LocalSnapshot { snapshot_id: snapshot_id("saved") })
}

fn url(artifact: ArtifactId) -> PresignedUrl {
    format!("https://store.test/{artifact}?signature").parse().unwrap()
}

fn manifest_sum() -> Sha256Hex {
    "ef".repeat(32).parse().unwrap()
}

fn durable() -> DurableSnapshot {
    let signed = |(id, size_bytes), sha256_hex| SnapshotArtifact {
        id,
        size_bytes,
        sha256_hex,
        object_key: None,
        download_url: Some(url(id)),
    };
    let mut artifacts = FILES.map(|file| signed(file, None)).to_vec();
    artifacts.push(signed((ArtifactId::Manifest, 900), Some(manifest_sum())));
    DurableSnapshot {
        snapshot_id: Some(snapshot_id("saved")),
        artifacts,
        ..DurableSnapshot::default()
    }
}

fn target(artifact: ArtifactId) -> camino::Utf8PathBuf {
    let name = match artifact {
        ArtifactId::Memory => "memory".to_owned(),
        other => other.file_name(),
    };
    format!("/root/machines/clone/{name}").into()
}

fn grown(artifact: ArtifactId) -> Option<u64> {
    (artifact == ArtifactId::DiskSystem).then_some(2 << 30)
}

/// The plan of a restore whose files come to lie by these steps.
fn expected(files: Vec<Step>, claims: Vec<Claim>) -> Plan {
    let dir = "/root/machines/clone";
    let image = |name: &str| DiskSource::Artifact {
        url: format!("file:///images/{name}").parse().unwrap(),
        sha256_hex: None,
    };
    let mut prepare = vec![Step::MakeDir { dir: dir.into() }];
    prepare.extend(files);
    prepare.extend([
        Step::PlaceArtifact { source: image("kernel"), to: format!("{dir}/kernel").into() },
        Step::PlaceArtifact { source: image("initrd"), to: format!("{dir}/initrd").into() },
        Step::BuildSlot { slot: slot(0) },
        Step::Launch {
            spec: Box::new(LaunchSpec {
                launch: this_launch("clone"),
                shape: shape(),
                kernel: format!("{dir}/kernel").into(),
                initrd: Some(format!("{dir}/initrd").into()),
                memory: GuestMemory::Own { path: format!("{dir}/memory").into() },
                disks: vec![Disk { path: format!("{dir}/system.img").into() }],
                slot: slot(0),
                boot: Boot::Restore {
                    vmstate: format!("{dir}/vmstate.bin").into(),
                    tsc_khz: 2_000_000,
                    vmm_sha256: origin().vmm_sha256,
                },
                tuning: Tuning::default(),
            }),
        },
        Step::ConnectAhead { launch: this_launch("clone"), deadline_ms: 2_000 },
        Step::Resume { launch: this_launch("clone") },
    ]);
    let machine = Machine { restored_from: Some(snapshot_id("saved")), ..machine("clone") };
    Plan {
        operation: this(),
        kind: OperationKind::RestoreSnapshot,
        resource_id: "clone".into(),
        claims,
        hold: Hold::UntilCommit,
        prepare,
        commit: Change::MachineStarted {
            machine: Box::new(machine),
            new_volumes: vec![system_volume("clone")],
            launch: this_launch("clone"),
            slot: slot(0),
            handle: None,
            deadline: now().checked_add(SignedDuration::from_secs(60)).unwrap(),
        },
        finish: await_ready("clone"),
    }
}

#[test]
fn promise_p6_p7_a_local_restore_checks_clones_and_only_reads_the_snapshot() {
    let mut moment = Moment::empty();
    moment.snapshots.push(snapshot("saved"));
    let source = Source::Local(&moment.snapshots[0]);
    let plan =
        restore::plan(&request(local()), &source, &manifest(), &origin(), &moment.facts()).unwrap();
    let mut files = vec![Step::CheckSealed {
        snapshot: snapshot_id("saved"),
        dir: "/root/snapshots/saved".into(),
        depth: CheckDepth::Identity,
    }];
    files.extend(FILES.map(|(artifact, _)| Step::CloneFile {
        source: DiskSource::File {
            path: format!("/root/snapshots/saved/{}", artifact.file_name()).into(),
        },
        to: target(artifact),
        size_bytes: grown(artifact),
        owner: Some(200_000),
    }));
    let claims =
        vec![Claim::machine(&machine_id("clone")), Claim::read_snapshot(&snapshot_id("saved"))];
    assert_eq!(plan, expected(files, claims));
}

#[test]
fn promise_p6_a_durable_restore_fetches_the_manifest_first_and_verifies_by_it() {
    let moment = Moment::empty();
    let durable = durable();
    let wanted = request(RestoreSource::Durable(durable.clone()));
    let source = Source::Durable(&durable);
    let plan = restore::plan(&wanted, &source, &manifest(), &origin(), &moment.facts()).unwrap();
    let dir = "/root/machines/clone";
    let mut files = vec![Step::FetchManifest {
        url: url(ArtifactId::Manifest),
        sha256: manifest_sum(),
        dir: dir.into(),
    }];
    files.extend(FILES.map(|(artifact, _)| Step::Download {
        target: Box::new(DownloadTarget {
            artifact,
            url: url(artifact),
            to: target(artifact),
            size_bytes: grown(artifact),
            owner: Some(200_000),
        }),
        manifest_dir: dir.into(),
    }));
    assert_eq!(plan, expected(files, vec![Claim::machine(&machine_id("clone"))]));
}

#[test]
fn verify_full_hashes_every_byte_again() {
    let mut moment = Moment::empty();
    moment.snapshots.push(snapshot("saved"));
    let wanted = RestoreSnapshotRequest { verify: Verify::Full, ..request(local()) };
    let source = Source::Local(&moment.snapshots[0]);
    let plan = restore::plan(&wanted, &source, &manifest(), &origin(), &moment.facts()).unwrap();
    assert!(matches!(plan.prepare[1], Step::CheckSealed { depth: CheckDepth::Full, .. }));
}

fn refused(change: impl FnOnce(&mut Moment, &mut DurableSnapshot, &mut Manifest)) -> ErrorCode {
    let (mut moment, mut durable, mut manifest) = (Moment::empty(), durable(), manifest());
    moment.snapshots.push(snapshot("saved"));
    change(&mut moment, &mut durable, &mut manifest);
    let wanted = request(RestoreSource::Durable(durable.clone()));
    let source = Source::Durable(&durable);
    restore::plan(&wanted, &source, &manifest, &origin(), &moment.facts()).unwrap_err().code
}

#[test]
fn promise_p6_what_cannot_be_verified_or_cannot_run_here_is_refused_with_the_reason() {
    let without_manifest = refused(|_, durable, _| {
        durable.artifacts.retain(|artifact| artifact.id != ArtifactId::Manifest);
    });
    assert_eq!(without_manifest, ErrorCode::Unverifiable);
    let without_its_sum = refused(|_, durable, _| {
        durable.artifacts.iter_mut().for_each(|artifact| artifact.sha256_hex = None);
    });
    assert_eq!(without_its_sum, ErrorCode::Unverifiable);
    let of_another_size = refused(|_, durable, _| durable.artifacts[1].size_bytes -= 1);
    assert_eq!(of_another_size, ErrorCode::DigestMismatch);
    let of_another_vmm = refused(|_, _, manifest| manifest.origin.host.vmm_version = "10".into());
    assert_eq!(of_another_vmm, ErrorCode::Incompatible);
    let of_another_cpu = refused(|_, _, manifest| manifest.origin.host.cpu.model = "host".into());
    assert_eq!(of_another_cpu, ErrorCode::Incompatible);
}

#[test]
fn promise_p6_a_quarantined_snapshot_is_not_restored() {
    let mut moment = Moment::empty();
    let state = SnapshotState::Quarantined { reason: "memory.bin has changed".into() };
    moment.snapshots.push(engine::record::Snapshot { state, ..snapshot("saved") });
    let source = Source::Local(&moment.snapshots[0]);
    let refusal =
        restore::plan(&request(local()), &source, &manifest(), &origin(), &moment.facts())
            .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Quarantined);
    assert_eq!(refusal.reason, "snapshot saved: memory.bin has changed");
}
