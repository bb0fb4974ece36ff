//! Lazy restores, and what else machines do whose files are still being filled.

use contract::artifact::ArtifactId;
use contract::chunked::{ChunkedSource, PackDownload};
use contract::lazy::{LazyRestore, Touched};
use contract::restore::{DurableSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::snapshot::CreateSnapshotRequest;
use contract::{ErrorCode, PackId, Secret};
use engine::plan::restore::{self, Source};
use engine::plan::{Change, Plan, Refusal, machine as life, snapshot as taking};
use engine::port::{
    Boot, Disk, FillRequest, FilledFile, FillingPlace, FormUrl, GuestMemory, LaunchSpec, PackPut,
};
use engine::record::{FillingRecord, Machine, VmmKind};
use engine::step::Step;

use super::facts::{Moment, artifact, machine, machine_id, origin, snapshot_id, this};
use super::restores::manifest;

const DIR: &str = "/root/machines/clone";

fn chunked() -> ChunkedSource {
    ChunkedSource {
        manifest_url: "https://store.test/form?signature".parse().unwrap(),
        manifest_sha256_hex: "ef".repeat(32).parse().unwrap(),
        packs: vec![PackDownload {
            pack_id: PackId::from_bytes(&[7; 32]),
            download_url: "https://store.test/pack?signature".parse().unwrap(),
        }],
        key: Secret::default(),
    }
}

fn lazy() -> LazyRestore {
    let touched = Touched { artifact: ArtifactId::Memory, first_chunk: 3, chunk_count: 2 };
    LazyRestore {
        renewal_url: Some("https://control.test/renew".parse().unwrap()),
        working_set: vec![touched],
    }
}

fn planned(durable: &DurableSnapshot, vmm: VmmKind) -> Result<Plan, Refusal> {
    let moment = Moment::empty();
    let source = RestoreSource::Durable(durable.clone());
    let request = RestoreSnapshotRequest {
        lazy: Some(lazy()),
        ..RestoreSnapshotRequest::named(machine_id("clone"), artifact(), source)
    };
    let (mut manifest, mut here) = (manifest(), origin());
    manifest.origin.host.vmm = vmm;
    here.vmm = vmm;
    restore::plan(&request, &Source::Durable(durable), &manifest, &here, &moment.facts())
}

fn durable() -> DurableSnapshot {
    DurableSnapshot { chunked: Some(Box::new(chunked())), ..DurableSnapshot::default() }
}

fn place() -> FillingPlace {
    FillingPlace { operation: this(), dir: format!("{DIR}/filling").into() }
}

/// A machine that is still filled.
fn filled(machine: Machine) -> Machine {
    Machine { filling: Some(FillingRecord { place: place(), missing_bytes: None }), ..machine }
}

fn names(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(Step::name).collect()
}

#[test]
fn a_lazy_restore_fetches_the_document_alone_and_launches_over_the_shown_files() {
    let plan = planned(&durable(), VmmKind::Qemu).unwrap();
    let addresses = Moment::empty().settings.addresses;
    let file = |artifact: ArtifactId, name: &str, size_bytes| FilledFile {
        artifact,
        to: format!("{DIR}/{name}").into(),
        size_bytes,
    };
    let form = FormUrl {
        url: chunked().manifest_url,
        sha256: chunked().manifest_sha256_hex,
        key: Secret::default(),
    };
    let pack = &chunked().packs[0];
    let expected = [
        Step::MakeDir { dir: DIR.into() },
        Step::FetchForm { form: Box::new(form), dir: DIR.into() },
        Step::StartFilling {
            request: Box::new(FillRequest {
                place: place(),
                document: DIR.into(),
                packs: vec![PackPut { pack: pack.pack_id.clone(), url: pack.download_url.clone() }],
                files: vec![
                    file(ArtifactId::VmState, "vmstate.bin", None),
                    file(ArtifactId::Memory, "memory", None),
                    file(ArtifactId::DiskSystem, "system.img", Some(2 << 30)),
                ],
                owner: 200_000,
                server_uid: 200_000 + addresses.slots(),
                renewal_url: lazy().renewal_url,
                working_set: lazy().working_set,
            }),
        },
    ];
    assert_eq!(plan.prepare[..3], expected);
    let launch = plan.prepare.iter().find_map(|step| match step {
        Step::Launch { spec } => Some(spec.as_ref()),
        _ => None,
    });
    let LaunchSpec { memory, disks, boot, .. } = launch.unwrap();
    let shown = |name: &str| format!("{DIR}/filling/files/{name}").into();
    assert_eq!(*memory, GuestMemory::Own { path: shown("memory") });
    assert_eq!(*disks, [Disk { path: shown("system.img") }]);
    let Boot::Restore { vmstate, .. } = boot else { panic!("{boot:?}") };
    assert_eq!(*vmstate, shown("vmstate.bin"));
    let Change::MachineStarted { machine, .. } = plan.commit else { panic!("{:?}", plan.commit) };
    assert_eq!(machine.filling, Some(FillingRecord { place: place(), missing_bytes: None }));
}

#[test]
fn lazy_restores_that_could_not_go_on_alone_are_refused() {
    let code = |durable: &DurableSnapshot, vmm| planned(durable, vmm).unwrap_err().code;
    assert_eq!(code(&DurableSnapshot::default(), VmmKind::Qemu), ErrorCode::Refused);
    assert_eq!(code(&durable(), VmmKind::Firecracker), ErrorCode::Refused);
    let sealed = ChunkedSource { key: Secret::new("a key"), ..chunked() };
    let sealed = DurableSnapshot { chunked: Some(Box::new(sealed)), ..durable() };
    assert_eq!(code(&sealed, VmmKind::Qemu), ErrorCode::Refused);
}

#[test]
fn promise_p3_p5_a_snapshot_of_a_machine_that_is_filled_waits_before_it_stands_still() {
    let moment = Moment::with_box();
    let request = CreateSnapshotRequest::named(snapshot_id("again"));
    let machine = filled(moment.machines[0].clone());
    let plan = taking::create(&machine, &request, origin(), &moment.facts()).unwrap();
    let names = names(&plan.prepare);
    let at = |name| names.iter().position(|step| *step == name).unwrap();
    assert!(at("await_filled") < at("sync_dirty") && at("sync_dirty") < at("pause"), "{names:?}");
    // Within the pause, what the guest wrote to shown memory is brought into the file.
    let capture = at("capture");
    assert_eq!(names[capture + 1], "sync_dirty");
    let Step::SyncDirty { paths } = &plan.prepare[capture + 1] else { panic!("{names:?}") };
    assert!(paths.iter().all(|path| path.starts_with(place().dir.join("files"))), "{paths:?}");
}

#[test]
fn a_start_waits_for_plain_files_and_ends_their_filling() {
    let moment = Moment::empty();
    let plan = life::start(&filled(machine("clone")), &moment.facts()).unwrap();
    assert_eq!(names(&plan.prepare)[..3], ["await_filled", "end_filling", "give_to"]);
    let Change::MachineStarted { machine, .. } = plan.commit else { panic!("{:?}", plan.commit) };
    assert_eq!(machine.filling, None);
}

#[test]
fn promise_p9_a_machine_that_is_deleted_takes_its_filling_along_before_its_files() {
    let moment = Moment::empty();
    let plan = life::delete(&filled(machine("clone")), &moment.facts());
    let names = names(&plan.finish);
    let at = |name| names.iter().position(|step| *step == name).unwrap();
    assert!(at("end_filling") < at("remove_tree"), "{names:?}");
}
