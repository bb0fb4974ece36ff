//! Volumes made, attached, grown, detached and deleted.

use contract::operation::OperationKind;
use contract::volume::{AttachVolumeRequest, CreateVolumeRequest};
use contract::{ErrorCode, VolumeId};
use engine::claim::Claim;
use engine::phase::Phase;
use engine::plan::{Change, Hold, Permission, Plan, machine, volume};
use engine::port::{Disk, DiskSource, GrownDisk};
use engine::record::{MAXIMUM_USER_DISKS, Volume};
use engine::step::Step;

use super::facts::{Moment, data_volume, machine_id, now, run_of, this};
use super::machines::request as machine_request;

fn id(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn request(name: &str) -> CreateVolumeRequest {
    CreateVolumeRequest { volume_id: id(name), size_bytes: 1 << 30 }
}

fn attach_request(restart: bool) -> AttachVolumeRequest {
    AttachVolumeRequest { machine_id: machine_id("box"), restart }
}

/// A host with a stopped `box` that has a disk of its own from a restore, and the volume `data`.
fn at_rest() -> Moment {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment.volumes.push(data_volume("data"));
    moment
}

/// The same with `box-user-1` and `data` attached.
fn with_disks() -> Moment {
    let mut moment = at_rest();
    let machine = machine_id("box");
    moment.machines[0].user_volume_ids = vec![id("box-user-1"), id("data")];
    moment.volumes[1].attached = Some(machine.clone());
    moment.volumes.push(Volume {
        attached: Some(machine.clone()),
        goes_with: Some(machine),
        ..data_volume("box-user-1")
    });
    moment
}

#[test]
fn a_volume_is_made_in_a_directory_of_its_own_with_a_labelled_file_system() {
    let moment = Moment::empty();
    let plan = volume::create(&request("data-of-a-long-name"), &moment.facts()).unwrap();
    let dir = "/root/volumes/data-of-a-long-name";
    let expected = Plan {
        operation: this(),
        kind: OperationKind::CreateVolume,
        resource_id: "data-of-a-long-name".into(),
        claims: vec![Claim::volume(&id("data-of-a-long-name"))],
        hold: Hold::UntilCommit,
        prepare: vec![
            Step::MakeDir { dir: dir.into() },
            Step::FormatDisk {
                to: format!("{dir}/disk.img").into(),
                size_bytes: 1 << 30,
                label: "data-of-a-long-n".into(),
            },
        ],
        commit: Change::VolumeAdded {
            volume: Volume { created_at: now(), ..data_volume("data-of-a-long-name") },
        },
        finish: vec![],
    };
    assert_eq!(plan, expected);
}

#[test]
fn promise_p13_a_volume_that_exists_does_not_fit_or_has_a_machines_name_is_refused() {
    let mut moment = Moment::empty();
    let code = |moment: &Moment, request: &CreateVolumeRequest| {
        volume::create(request, &moment.facts()).map(drop).map_err(|refusal| refusal.code)
    };
    moment.volumes.push(data_volume("data"));
    assert_eq!(code(&moment, &request("data")), Err(ErrorCode::Exists));
    let huge = CreateVolumeRequest { size_bytes: 16 << 30, ..request("huge") };
    assert_eq!(code(&moment, &huge), Err(ErrorCode::NoRoom));
    for size_bytes in [0, 1, u64::MAX] {
        let odd = CreateVolumeRequest { size_bytes, ..request("odd") };
        assert_eq!(code(&moment, &odd), Err(ErrorCode::Refused));
    }
    for name in ["box-system", "box-user-1"] {
        assert_eq!(code(&moment, &request(name)), Err(ErrorCode::Refused), "{name}");
    }
    moment.open.push(volume::create(&request("new"), &moment.facts()).unwrap());
    assert_eq!(code(&moment, &request("new")), Err(ErrorCode::Exists));
    let big = CreateVolumeRequest { size_bytes: 15 << 30, ..request("big") };
    assert_eq!(code(&moment, &big), Err(ErrorCode::NoRoom), "what is planned takes room");
}

#[test]
fn promise_p9_an_attached_volume_is_not_deleted_and_one_at_rest_goes_with_its_directory() {
    let moment = with_disks();
    for volume in &moment.volumes {
        let refused = volume::delete(volume, &moment.facts()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InUse, "{}", volume.id);
    }
    let plan = volume::delete(&data_volume("data"), &moment.facts()).unwrap();
    assert_eq!(plan.commit, Change::VolumeRemoved { volume: id("data") });
    let scratch = format!("/root/scratch/{}", this()).into();
    assert_eq!(plan.finish, [Step::RemoveTree { dir: "/root/volumes/data".into(), scratch }]);
}

#[test]
fn a_volume_is_attached_at_rest_and_not_twice() {
    let moment = at_rest();
    let volume = &moment.volumes[1];
    let plan = volume::attach(volume, &attach_request(false), &moment.facts()).unwrap();
    assert_eq!(plan.claims, [Claim::machine(&machine_id("box")), Claim::volume(&id("data"))]);
    assert_eq!((plan.prepare, plan.finish), (vec![], vec![]));
    let machine = machine_id("box");
    assert_eq!(plan.commit, Change::VolumeAttached { volume: id("data"), machine });
    let moment = with_disks();
    let again = volume::attach(&moment.volumes[1], &attach_request(false), &moment.facts());
    assert_eq!(again.unwrap_err().code, ErrorCode::Busy);
    let mut twice = machine_request("new");
    twice.user_volume_ids = vec![id("data"), id("data")];
    let refused = machine::create(&twice, &at_rest().facts()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
}

#[test]
fn a_machine_that_runs_takes_a_volume_only_when_it_may_be_restarted() {
    let mut moment = Moment::with_box();
    moment.volumes.push(data_volume("data"));
    let volume = &moment.volumes[1];
    let refused = volume::attach(volume, &attach_request(false), &moment.facts()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::WrongState);
    assert!(refused.reason.contains("restart: true"), "{}", refused.reason);
    let plan = volume::attach(volume, &attach_request(true), &moment.facts()).unwrap();
    let names: Vec<_> = plan.prepare.iter().map(Step::name).collect();
    let expected = ["shut_down", "end_run", "destroy_slot", "give_to", "build_slot", "launch"];
    assert_eq!(names, expected);
    let Some(Step::Launch { spec }) = plan.prepare.last() else { panic!("a launch") };
    let disk = |path: &str| Disk { path: path.into() };
    let disks = [disk("/root/machines/box/system.img"), disk("/root/volumes/data/disk.img")];
    assert_eq!(spec.disks, disks);
    assert_ne!(spec.slot.index, run_of(&moment.machines[0]).slot.index);
    let Change::MachineStarted { machine, new_volumes, .. } = plan.commit else {
        panic!("a start")
    };
    assert_eq!(machine.user_volume_ids, [id("data")]);
    assert_eq!(new_volumes[0].attached, Some(machine_id("box")));
    assert_eq!(machine.relays, moment.machines[0].relays, "its ports stay");
}

#[test]
fn a_machine_has_no_more_volumes_than_places() {
    let mut moment = at_rest();
    moment.machines[0].user_volume_ids =
        (0..MAXIMUM_USER_DISKS).map(|number| id(&format!("v{number}"))).collect();
    let refused = volume::attach(&moment.volumes[1], &attach_request(false), &moment.facts());
    assert_eq!(refused.unwrap_err().code, ErrorCode::Refused);
}

#[test]
fn promise_p9_a_volume_that_went_with_its_machine_is_moved_out_when_it_is_detached() {
    let moment = with_disks();
    let plan = volume::detach(&moment.volumes[2], Permission::None, &moment.facts()).unwrap();
    let dir = "/root/volumes/box-user-1";
    let from = "/root/machines/box/user-1.img";
    let clone = Step::CloneFile {
        source: DiskSource::File { path: from.into() },
        to: format!("{dir}/disk.img").into(),
        size_bytes: None,
        owner: None,
    };
    assert_eq!(plan.prepare, [Step::MakeDir { dir: dir.into() }, clone]);
    assert_eq!(plan.finish, [Step::RemoveFile { path: from.into() }]);
    let machine = machine_id("box");
    assert_eq!(plan.commit, Change::VolumeDetached { volume: id("box-user-1"), machine });
    let plan = volume::detach(&moment.volumes[1], Permission::None, &moment.facts()).unwrap();
    assert_eq!((plan.prepare, plan.finish), (vec![], vec![]), "it lies by itself already");
}

#[test]
fn disks_keep_their_files_when_one_before_them_is_detached() {
    let mut moment = with_disks();
    let machine_name = machine_id("box");
    moment.volumes.push(Volume {
        attached: Some(machine_name.clone()),
        goes_with: Some(machine_name),
        ..data_volume("box-user-2")
    });
    moment.machines[0].user_volume_ids = vec![id("box-user-2"), id("data")];
    let plan = machine::start(&moment.machines[0], &moment.facts()).unwrap();
    let Some(Step::Launch { spec }) = plan.prepare.last() else { panic!("a launch") };
    let paths: Vec<_> = spec.disks.iter().map(|disk| disk.path.as_str()).collect();
    let expected = [
        "/root/machines/box/system.img",
        "/root/machines/box/user-2.img",
        "/root/volumes/data/disk.img",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_machine_is_not_made_where_a_volume_has_the_name_of_its_disk() {
    let mut moment = Moment::empty();
    moment.volumes.push(data_volume("new-system"));
    let refused = machine::create(&machine_request("new"), &moment.facts()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Exists);
}

#[test]
fn a_volume_grows_also_while_its_machine_runs_and_never_shrinks() {
    let mut moment = with_disks();
    let grown = |moment: &Moment, index: usize, size_bytes| {
        volume::grow(&moment.volumes[index], size_bytes, &moment.facts())
    };
    let plan = grown(&moment, 1, 2 << 30).unwrap();
    assert_eq!(plan.commit, Change::VolumeGrown { volume: id("data"), size_bytes: 2 << 30 });
    let file = Step::GrowFile { path: "/root/volumes/data/disk.img".into(), size_bytes: 2 << 30 };
    assert_eq!(plan.finish, std::slice::from_ref(&file));
    assert_eq!(grown(&moment, 1, 1 << 29).unwrap_err().code, ErrorCode::Refused);
    assert_eq!(grown(&moment, 1, 64 << 30).unwrap_err().code, ErrorCode::NoRoom);
    assert_eq!(grown(&moment, 0, 4 << 30).unwrap_err().code, ErrorCode::Refused, "a system disk");
    let run = engine::testing::run("box");
    moment.machines[0].phase = Phase::Running { run: Box::new(run.clone()) };
    let plan = grown(&moment, 1, 2 << 30).unwrap();
    let launch = run.launch;
    let disk = GrownDisk { index: 2, size_bytes: 2 << 30 };
    let extend = Step::ExtendDisk { launch: launch.clone(), disk };
    assert_eq!(plan.finish, [file, extend, Step::GrowGuest { launch, disk, deadline_ms: 2_000 }]);
}
