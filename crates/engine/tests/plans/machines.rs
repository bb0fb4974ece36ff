//! Create, start, stop, delete and retire.

use contract::machine::{CreateMachineRequest, Egress, GuestProtocol};
use contract::operation::OperationKind;
use engine::claim::Claim;
use engine::phase::Phase;
use engine::plan::{Change, Hold, Plan, machine};
use engine::port::{Boot, Disk, DiskSource, GuestMemory, LaunchSpec};
use engine::record::{Machine, Tuning, Volume};
use engine::step::Step;
use jiff::SignedDuration;

use super::facts::{
    Moment, artifact, await_ready, data_volume, machine as record, machine_id, now, relays, run_of,
    shape, slot, system_volume, this, this_launch,
};

pub(crate) fn request(name: &str) -> CreateMachineRequest {
    CreateMachineRequest {
        machine_id: machine_id(name),
        artifact: artifact(),
        memory_mib: None,
        storage_bytes: None,
        user_volume_ids: vec![],
        guest_config: None,
        vcpus: None,
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        rate_limits: None,
        cpu_template: None,
    }
}

fn spec(name: &str, index: u32, disks: &[&str]) -> LaunchSpec {
    let dir = format!("/root/machines/{name}");
    LaunchSpec {
        launch: this_launch(name),
        shape: shape(),
        kernel: format!("{dir}/kernel").into(),
        initrd: Some(format!("{dir}/initrd").into()),
        memory: GuestMemory::Own { path: format!("{dir}/memory").into() },
        disks: disks.iter().map(|path| Disk { path: (*path).into() }).collect(),
        slot: slot(index),
        boot: Boot::Cold,
        tuning: Tuning::default(),
    }
}

fn started(machine: Machine, new_volumes: Vec<Volume>, index: u32) -> Change {
    Change::MachineStarted {
        launch: this_launch(machine.id.as_str()),
        machine: Box::new(machine),
        new_volumes,
        slot: slot(index),
        handle: None,
        deadline: now().checked_add(SignedDuration::from_secs(60)).unwrap(),
    }
}

fn stopped_box() -> Moment {
    let mut moment = Moment::with_box();
    moment.machines[0].phase = Phase::Stopped { reason: None };
    moment
}

#[test]
fn create_reserves_everything_builds_it_and_commits_when_the_vmm_runs() {
    let moment = Moment::with_box();
    let plan = machine::create(&request("new"), &moment.facts()).unwrap();
    let dir = "/root/machines/new";
    let image = |name: &str| DiskSource::Artifact {
        url: format!("file:///images/{name}").parse().unwrap(),
        sha256_hex: None,
    };
    let expected = Plan {
        operation: this(),
        kind: OperationKind::CreateMachine,
        resource_id: "new".into(),
        claims: vec![Claim::machine(&machine_id("new"))],
        hold: Hold::UntilCommit,
        prepare: vec![
            Step::MakeDir { dir: dir.into() },
            Step::PlaceArtifact { source: image("kernel"), to: format!("{dir}/kernel").into() },
            Step::PlaceArtifact { source: image("initrd"), to: format!("{dir}/initrd").into() },
            Step::CloneFile {
                source: DiskSource::Artifact {
                    url: artifact().rootfs_url,
                    sha256_hex: artifact().rootfs_sha256_hex,
                },
                to: format!("{dir}/system.img").into(),
                size_bytes: Some(2 << 30),
                owner: Some(200_001),
            },
            Step::BuildSlot { slot: slot(1) },
            Step::Launch { spec: Box::new(spec("new", 1, &["/root/machines/new/system.img"])) },
        ],
        commit: started(
            Machine { relays: relays(1), ..record("new") },
            vec![system_volume("new")],
            1,
        ),
        finish: await_ready("new"),
    };
    assert_eq!(plan, expected);
}

#[test]
fn create_attaches_volumes_that_outlive_the_machine_and_claims_them() {
    let mut moment = Moment::empty();
    moment.volumes.push(data_volume("data"));
    let mut wanted = request("new");
    wanted.user_volume_ids = vec!["data".parse().unwrap()];
    let plan = machine::create(&wanted, &moment.facts()).unwrap();
    let id = machine_id("new");
    assert_eq!(plan.claims, [Claim::machine(&id), Claim::volume(&"data".parse().unwrap())]);
    let disks = ["/root/machines/new/system.img", "/root/volumes/data/disk.img"];
    assert_eq!(plan.prepare.last(), Some(&Step::Launch { spec: Box::new(spec("new", 0, &disks)) }));
    let given = Step::GiveTo { paths: vec![disks[1].into()], owner: 200_000 };
    assert!(plan.prepare.contains(&given), "the VMM may open it");
    let attached = Volume { attached: Some(id), ..data_volume("data") };
    let machine = Machine { user_volume_ids: wanted.user_volume_ids, ..record("new") };
    assert_eq!(plan.commit, started(machine, vec![system_volume("new"), attached], 0));
}

#[test]
fn start_gives_the_disks_to_a_new_uid_and_boots_from_them() {
    let moment = stopped_box();
    let plan = machine::start(&moment.machines[0], &moment.facts()).unwrap();
    let disk = "/root/machines/box/system.img";
    let expected = Plan {
        operation: this(),
        kind: OperationKind::StartMachine,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilCommit,
        prepare: vec![
            Step::GiveTo { paths: vec![disk.into()], owner: 200_000 },
            Step::BuildSlot { slot: slot(0) },
            Step::Launch { spec: Box::new(spec("box", 0, &[disk])) },
        ],
        commit: started(record("box"), vec![], 0),
        finish: await_ready("box"),
    };
    assert_eq!(plan, expected);
}

#[test]
fn stop_asks_the_guest_commits_and_only_then_ends_what_is_left() {
    let moment = Moment::with_box();
    let run = run_of(&moment.machines[0]);
    let expected = Plan {
        operation: this(),
        kind: OperationKind::StopMachine,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilClose,
        prepare: vec![Step::ShutDown {
            launch: run.launch.clone(),
            protocol: GuestProtocol::Agent,
            deadline_ms: 10_000,
        }],
        commit: Change::MachineStopped { machine: machine_id("box"), reason: None },
        finish: vec![
            Step::EndRun { launch: run.launch.clone() },
            Step::DestroySlot { slot: run.slot.clone() },
        ],
    };
    assert_eq!(machine::stop(&moment.machines[0], &moment.facts()), expected);
}

#[test]
fn promise_p9_delete_commits_first_and_removes_after() {
    let moment = Moment::with_box();
    let run = run_of(&moment.machines[0]);
    let expected = Plan {
        operation: this(),
        kind: OperationKind::DeleteMachine,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::MachineRemoved { machine: machine_id("box") },
        finish: vec![
            Step::EndRun { launch: run.launch.clone() },
            Step::DestroySlot { slot: run.slot.clone() },
            Step::RemoveTree {
                dir: "/root/machines/box".into(),
                scratch: format!("/root/scratch/{}", this()).into(),
            },
        ],
    };
    assert_eq!(machine::delete(&moment.machines[0], &moment.facts()), expected);
}

#[test]
fn promise_p4_retiring_asks_nobody_and_releases_what_the_run_held() {
    let moment = Moment::with_box();
    let run = run_of(&moment.machines[0]);
    let change =
        Change::MachineStopped { machine: machine_id("box"), reason: Some("rebooted".into()) };
    let expected = Plan {
        operation: this(),
        kind: OperationKind::RetireMachine,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: change.clone(),
        finish: vec![
            Step::EndRun { launch: run.launch.clone() },
            Step::DestroySlot { slot: run.slot.clone() },
        ],
    };
    let plan = machine::retire(&moment.machines[0], run, change, &moment.facts());
    assert_eq!(plan, expected);
}
