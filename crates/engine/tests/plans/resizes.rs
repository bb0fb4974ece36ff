//! Another size for a machine.

use contract::ErrorCode;
use contract::machine::ResizeMachineRequest;
use engine::phase::Phase;
use engine::plan::{Change, Plan, Refusal, resize};
use engine::port::GrownDisk;
use engine::record::VmmKind;
use engine::step::Step;

use super::facts::{Moment, machine_id, run_of};

fn plan(moment: &Moment, request: ResizeMachineRequest) -> Result<Option<Plan>, Refusal> {
    resize::plan(&moment.machines[0], &request, &moment.facts())
}

fn memory(mib: u64, restart: bool) -> ResizeMachineRequest {
    ResizeMachineRequest { memory_mib: Some(mib), storage_bytes: None, restart }
}

fn storage(bytes: u64) -> ResizeMachineRequest {
    ResizeMachineRequest { memory_mib: None, storage_bytes: Some(bytes), restart: false }
}

fn stopped() -> Moment {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment
}

#[test]
fn a_machine_at_rest_is_resized_in_its_record_and_its_file() {
    let moment = stopped();
    let both = ResizeMachineRequest { storage_bytes: Some(4 << 30), ..memory(512, false) };
    let plan = plan(&moment, both).unwrap().unwrap();
    let (machine, memory_mib, storage_bytes) = (machine_id("box"), 512, 4 << 30);
    assert_eq!(plan.commit, Change::MachineResized { machine, memory_mib, storage_bytes });
    let path = "/root/machines/box/system.img".into();
    assert_eq!(plan.finish, [Step::GrowFile { path, size_bytes: 4 << 30 }]);
}

#[test]
fn what_has_the_size_already_is_left_alone() {
    let moment = Moment::with_box();
    assert_eq!(plan(&moment, memory(256, false)).unwrap(), None);
    assert_eq!(plan(&moment, storage(2 << 30)).unwrap(), None);
    assert_eq!(plan(&moment, ResizeMachineRequest::default()).unwrap(), None);
}

#[test]
fn a_disk_grows_while_the_machine_runs() {
    let moment = Moment::with_box();
    let plan = plan(&moment, storage(4 << 30)).unwrap().unwrap();
    let launch = run_of(&moment.machines[0]).launch.clone();
    let names: Vec<_> = plan.finish.iter().map(Step::name).collect();
    assert_eq!(names, ["grow_file", "extend_disk", "grow_guest"]);
    assert_eq!(
        plan.finish[1],
        Step::ExtendDisk { launch, disk: GrownDisk { index: 0, size_bytes: 4 << 30 } }
    );
}

#[test]
fn memory_needs_a_restart_that_is_asked_for() {
    let moment = Moment::with_box();
    let refused = plan(&moment, memory(512, false)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::WrongState);
    let plan = plan(&moment, memory(512, true)).unwrap().unwrap();
    let Change::MachineStarted { machine, .. } = &plan.commit else { panic!("a start") };
    assert_eq!(machine.shape.memory_mib, 512);
    assert_eq!(machine.phase, Phase::Stopped { reason: None }, "set when it is written");
    let Some(Step::Launch { spec }) = plan.prepare.last() else { panic!("a launch") };
    assert_eq!(spec.shape.memory_mib, 512);
}

#[test]
fn a_vmm_that_grows_no_disks_online_needs_a_restart() {
    let mut moment = Moment::with_box();
    moment.machines[0].vmm = VmmKind::Firecracker;
    assert_eq!(plan(&moment, storage(4 << 30)).unwrap_err().code, ErrorCode::WrongState);
    let restart = ResizeMachineRequest { restart: true, ..storage(4 << 30) };
    let plan = plan(&moment, restart).unwrap().unwrap();
    let names: Vec<_> = plan.prepare.iter().map(Step::name).collect();
    let expected =
        ["shut_down", "end_run", "destroy_slot", "grow_file", "give_to", "build_slot", "launch"];
    assert_eq!(names, expected);
}

#[test]
fn promise_p13_shrinking_and_what_does_not_fit_are_refused_at_once() {
    let moment = Moment::with_box();
    let code = |request| plan(&moment, request).unwrap_err().code;
    assert_eq!(code(storage(1 << 30)), ErrorCode::Refused);
    assert_eq!(code(storage(64 << 30)), ErrorCode::NoRoom);
    assert_eq!(code(memory(2048, true)), ErrorCode::NoRoom);
    assert_eq!(code(memory(1, true)), ErrorCode::Refused);
    let moment = stopped();
    plan(&moment, memory(2048, false)).unwrap();
}
