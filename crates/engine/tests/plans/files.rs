//! Reaching the files of a stopped machine.

use contract::ErrorCode;
use contract::machine::GuestProtocol;
use contract::operation::OperationKind;
use engine::claim::Claim;
use engine::phase::Phase;
use engine::plan::{Change, Hold, Plan, files};
use engine::port::{Boot, Disk, GuestMemory, LaunchSpec};
use engine::record::{Shape, Tuning};
use engine::step::Step;

use super::facts::{Moment, machine_id, slot, this, this_launch};

fn stopped_box() -> Moment {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment
}

#[test]
fn a_stopped_machine_boots_for_its_files_with_little_and_goes_down_again() {
    let mut moment = stopped_box();
    moment.machines[0].shape = Shape { vcpus: 4, memory_mib: 512 };
    let plan = files::open(&moment.machines[0], &moment.facts()).unwrap();
    let dir = "/root/machines/box";
    let disk = format!("{dir}/system.img");
    let spec = LaunchSpec {
        launch: this_launch("box"),
        shape: Shape { vcpus: 1, memory_mib: 256 },
        kernel: format!("{dir}/kernel").into(),
        initrd: Some(format!("{dir}/initrd").into()),
        memory: GuestMemory::Own { path: format!("{dir}/memory").into() },
        disks: vec![Disk { path: disk.clone().into() }],
        slot: slot(0),
        boot: Boot::Files,
        tuning: Tuning::default(),
    };
    let expected = Plan {
        operation: this(),
        kind: OperationKind::ChangeFiles,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilClose,
        prepare: vec![
            Step::GiveTo { paths: vec![disk.into()], owner: 200_000 },
            Step::BuildSlot { slot: slot(0) },
            Step::Launch { spec: Box::new(spec) },
            Step::AwaitAgent { launch: this_launch("box"), deadline_ms: 60_000 },
        ],
        commit: Change::FilesOpened { machine: machine_id("box"), memory_mib: 256 },
        finish: vec![
            Step::ServeFiles { launch: this_launch("box") },
            Step::ShutDown {
                launch: this_launch("box"),
                protocol: GuestProtocol::Agent,
                deadline_ms: 10_000,
            },
            Step::EndRun { launch: this_launch("box") },
            Step::DestroySlot { slot: slot(0) },
        ],
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_machine_that_is_not_stopped_is_not_booted_for_its_files() {
    let moment = Moment::with_box();
    let refusal = files::open(&moment.machines[0], &moment.facts()).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::WrongState);
}

#[test]
fn promise_p13_the_memory_of_such_a_guest_is_promised_like_any_other() {
    let mut moment = stopped_box();
    let plan = files::open(&moment.machines[0], &moment.facts()).unwrap();
    moment.capacity.memory_bytes = 300 << 20;
    assert!(moment.facts().room_for(256, 0).is_ok());
    moment.open.push(plan);
    assert_eq!(moment.facts().room_for(256, 0).unwrap_err().code, ErrorCode::NoRoom);
}
