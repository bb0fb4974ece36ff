//! What is refused before the first side effect.

use contract::ErrorCode;
use contract::machine::{CpuTemplate, CreateMachineRequest, RateLimits};
use contract::operation::OperationState;
use contract::snapshot::CreateSnapshotRequest;
use engine::phase::Phase;
use engine::plan::{Change, machine, snapshot};
use engine::record::{Memory, Operation, VmmKind, Volume};
use engine::step::Step;

use super::facts::{Moment, data_volume, machine_id, origin, snapshot as sealed, snapshot_id};
use super::machines::request;

fn create(moment: &Moment, change: impl FnOnce(&mut CreateMachineRequest)) -> ErrorCode {
    let mut wanted = request("new");
    change(&mut wanted);
    machine::create(&wanted, &moment.facts()).unwrap_err().code
}

#[test]
fn promise_p13_memory_and_disk_that_do_not_fit_beside_what_is_promised_are_refused_at_once() {
    let moment = Moment::with_box();
    assert_eq!(create(&moment, |wanted| wanted.memory_mib = Some(1024)), ErrorCode::NoRoom);
    assert_eq!(create(&moment, |wanted| wanted.storage_bytes = Some(15 << 30)), ErrorCode::NoRoom);
}

#[test]
fn promise_p13_what_open_operations_have_reserved_is_taken() {
    let mut moment = Moment::empty();
    let mut big = request("big");
    big.memory_mib = Some(900);
    moment.open.push(machine::create(&big, &moment.facts()).unwrap());
    assert_eq!(create(&moment, |_| {}), ErrorCode::NoRoom);
    assert_eq!(create(&moment, |wanted| wanted.machine_id = machine_id("big")), ErrorCode::Exists);
    let small = CreateMachineRequest { memory_mib: Some(64), ..request("small") };
    let plan = machine::create(&small, &moment.facts()).unwrap();
    let Change::MachineStarted { slot, .. } = plan.commit else { panic!("a start") };
    assert_eq!(slot.index, 1, "promise P7: one network is not given out twice");
}

#[test]
fn promise_p13_a_burst_of_creates_ends_in_too_many_requests_when_the_addresses_are_gone() {
    let mut moment = Moment::empty();
    moment.settings.overcommit.memory = 1000.0;
    moment.settings.overcommit.disk = 1000.0;
    for number in 0..engine::testing::block().slots() {
        let wanted = request(&format!("m{number}"));
        moment.open.push(machine::create(&wanted, &moment.facts()).unwrap());
    }
    assert_eq!(create(&moment, |_| {}), ErrorCode::TooManyRequests);
}

#[test]
fn promise_p9_a_name_is_free_only_when_its_delete_is_closed() {
    let mut moment = Moment::with_box();
    let same = |wanted: &mut CreateMachineRequest| wanted.machine_id = machine_id("box");
    assert_eq!(create(&moment, same), ErrorCode::Exists);
    moment.open.push(machine::delete(&moment.machines[0], &moment.facts()));
    moment.machines.clear();
    assert_eq!(create(&moment, same), ErrorCode::Busy);
}

#[test]
fn promise_p1_file_urls_outside_the_image_directories_are_refused() {
    for path in ["file:///etc/shadow", "file:///images/../etc/shadow", "file:///imagesx/a"] {
        let code = create(&Moment::empty(), |wanted| {
            wanted.artifact.rootfs_url = path.parse().unwrap();
        });
        assert_eq!(code, ErrorCode::Forbidden, "{path}");
    }
}

#[test]
fn volumes_that_are_absent_or_attached_are_refused() {
    let mut moment = Moment::with_box();
    let wants = |wanted: &mut CreateMachineRequest| {
        wanted.user_volume_ids = vec!["data".parse().unwrap()];
    };
    assert_eq!(create(&moment, wants), ErrorCode::NotFound);
    moment.volumes.push(Volume { attached: Some(machine_id("box")), ..data_volume("data") });
    assert_eq!(create(&moment, wants), ErrorCode::Busy);
}

#[test]
fn only_a_stopped_machine_is_started_and_only_a_running_one_is_snapshotted() {
    let mut moment = Moment::with_box();
    let refusal = machine::start(&moment.machines[0], &moment.facts()).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::WrongState);
    moment.machines[0].phase = Phase::Stopped { reason: None };
    let wanted = CreateSnapshotRequest::named(snapshot_id("saved"));
    let refusal = snapshot::create(&moment.machines[0], &wanted, origin(), &moment.facts());
    assert_eq!(refusal.unwrap_err().code, ErrorCode::WrongState);
}

#[test]
fn promise_p9_a_snapshot_whose_memory_is_mapped_is_not_deleted() {
    let mut moment = Moment::with_box();
    moment.machines[0].memory = Memory::Sealed { snapshot: snapshot_id("saved") };
    let refusal = snapshot::delete(&sealed("saved"), &moment.facts()).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InUse);
}

#[test]
fn promise_p9_a_name_that_was_deleted_is_free_though_its_create_still_has_work_to_finish() {
    let plan = machine::create(&request("new"), &Moment::empty().facts()).unwrap();
    let running = Operation::new(plan, super::facts::now());
    let committed = Operation { state: OperationState::Committed, ..running.clone() };
    assert!(running.reserving().is_some());
    assert_eq!(committed.reserving(), None);

    let moment = Moment::with_box();
    let plan = machine::delete(&moment.machines[0], &moment.facts());
    let deleting = Operation::new(plan, super::facts::now());
    let committed = Operation { state: OperationState::Committed, ..deleting };
    assert!(committed.reserving().is_some(), "what it removes is still there");
}

#[test]
fn rate_limits_and_cpu_templates_are_refused_where_nothing_would_keep_them() {
    let mut moment = Moment::empty();
    let limited = |bytes| {
        move |wanted: &mut CreateMachineRequest| {
            wanted.rate_limits =
                Some(RateLimits { disk_bytes_per_second: Some(bytes), ..RateLimits::default() });
        }
    };
    let templated = |wanted: &mut CreateMachineRequest| wanted.cpu_template = Some(CpuTemplate::T2);
    assert_eq!(create(&moment, limited(1 << 20)), ErrorCode::Refused);
    assert_eq!(create(&moment, templated), ErrorCode::Refused);

    moment.settings.vmm = VmmKind::Firecracker;
    assert_eq!(create(&moment, limited(1)), ErrorCode::Refused, "no disk moves at a byte a second");
    let mut wanted = request("tuned");
    limited(1 << 20)(&mut wanted);
    templated(&mut wanted);
    let plan = machine::create(&wanted, &moment.facts()).unwrap();
    let tuning = plan.prepare.iter().find_map(|step| match step {
        Step::Launch { spec } => Some(spec.tuning),
        _ => None,
    });
    let tuning = tuning.expect("a create launches");
    assert_eq!(tuning.cpu_template, Some(CpuTemplate::T2));
    assert_eq!(tuning.rate_limits.disk_bytes_per_second, Some(1 << 20));
}
