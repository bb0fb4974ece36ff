//! Forks: names for all children in one operation, and what their machines are promised.

use contract::ErrorCode;
use contract::fork::ForkRequest;
use contract::operation::OperationKind;
use contract::restore::RestoreSource;
use contract::snapshot::CreateSnapshotRequest;
use engine::claim::Claim;
use engine::plan::restore::{self, Source};
use engine::plan::{Change, Hold, Plan, fork, snapshot as snapshots};
use engine::port::GuestMemory;
use engine::record::{Manifest, Memory, Snapshot};
use engine::step::Step;

use super::facts::{Moment, machine_id, origin, snapshot, snapshot_id, snapshot_origin, this};
use super::restores::manifest;

fn two() -> ForkRequest {
    ForkRequest { count: Some(2), ..ForkRequest::default() }
}

#[test]
fn a_machine_is_forked_by_the_steps_of_a_snapshot_that_is_no_callers() {
    let moment = Moment::with_box();
    let wanted = ForkRequest { max_pause_ms: Some(80), ..two() };
    let plan = fork::of_machine(&moment.machines[0], &wanted, origin(), &moment.facts()).unwrap();

    let id = snapshot_id(&format!("fork-{}", this()));
    let asked = CreateSnapshotRequest {
        max_pause_ms: Some(80),
        ..CreateSnapshotRequest::named(id.clone())
    };
    let taken = snapshots::create(&moment.machines[0], &asked, origin(), &moment.facts()).unwrap();
    let Change::SnapshotAdded { snapshot } = taken.commit else { panic!("a snapshot") };
    let expected = Plan {
        operation: this(),
        kind: OperationKind::Fork,
        resource_id: "box".into(),
        claims: vec![Claim::machine(&machine_id("box")), Claim::snapshot(&id)],
        hold: Hold::UntilCommit,
        prepare: taken.prepare,
        commit: Change::Forked {
            snapshot: id,
            taken: Some(Box::new(Snapshot { is_of_fork: true, ..*snapshot })),
            children: vec![machine_id("box-00000abc-1"), machine_id("box-00000abc-2")],
        },
        finish: vec![],
    };
    assert_eq!(plan, expected);
    let limited = |step: &Step| matches!(step, Step::Pause { limit_ms: Some(80), .. });
    assert!(expected.prepare.iter().any(limited));
}

#[test]
fn a_fork_of_a_snapshot_only_names_its_children() {
    let moment = Moment::empty();
    let names = vec![machine_id("a"), machine_id("b")];
    let wanted = ForkRequest { machine_ids: names.clone(), ..ForkRequest::default() };
    let plan = fork::of_snapshot(&snapshot("saved"), &wanted, &moment.facts()).unwrap();
    assert_eq!((plan.prepare, plan.finish), (vec![], vec![]));
    assert_eq!(plan.claims, [Claim::read_snapshot(&snapshot_id("saved"))]);
    let expected = Change::Forked { snapshot: snapshot_id("saved"), taken: None, children: names };
    assert_eq!(plan.commit, expected);
}

#[test]
fn a_fork_that_does_not_say_how_many_or_says_it_twice_is_refused() {
    let moment = Moment::empty();
    let refused = |wanted: ForkRequest| {
        fork::of_snapshot(&snapshot("saved"), &wanted, &moment.facts()).unwrap_err().code
    };
    let named = |names: &[&str]| names.iter().map(|name| machine_id(name)).collect::<Vec<_>>();
    assert_eq!(refused(ForkRequest::default()), ErrorCode::Refused);
    assert_eq!(refused(ForkRequest { machine_ids: named(&["a"]), ..two() }), ErrorCode::Refused);
    assert_eq!(
        refused(ForkRequest { machine_ids: named(&["a", "a"]), ..two() }),
        ErrorCode::Refused
    );
    assert_eq!(refused(ForkRequest { count: Some(257), ..two() }), ErrorCode::Refused);
}

/// The plan of a child of `saved`.
fn child(moment: &Moment, name: &str, request: &ForkRequest) -> Result<Plan, ErrorCode> {
    let wanted = fork::child(machine_id(name), request, &snapshot("saved"));
    assert!(matches!(wanted.source, RestoreSource::Local(_)));
    let manifest = Manifest { origin: snapshot_origin("saved"), ..manifest() };
    let saved = snapshot("saved");
    restore::plan(&wanted, &Source::Local(&saved), &manifest, &origin(), &moment.facts())
        .map_err(|refusal| refusal.code)
}

fn memory_of(plan: &Plan) -> GuestMemory {
    let launch = plan.prepare.iter().find_map(|step| match step {
        Step::Launch { spec } => Some(spec.memory.clone()),
        _ => None,
    });
    launch.unwrap()
}

#[test]
fn a_child_maps_the_sealed_memory_unless_it_wants_its_own() {
    let moment = Moment::empty();
    let sealed = GuestMemory::Sealed { path: "/root/snapshots/saved/memory.bin".into() };
    let plan = child(&moment, "a", &two()).unwrap();
    assert_eq!(memory_of(&plan), sealed);
    let memory = "/root/machines/a/memory";
    let clones = |step: &Step| matches!(step, Step::CloneFile { to, .. } if to == memory);
    assert!(!plan.prepare.iter().any(clones), "nothing of the sealed memory is copied");

    let plan = child(&moment, "a", &ForkRequest { own_memory: true, ..two() }).unwrap();
    assert_eq!(memory_of(&plan), GuestMemory::Own { path: memory.into() });
    assert!(plan.prepare.iter().any(clones));
}

#[test]
fn promise_p13_clones_are_promised_what_they_share_once_and_a_floor_each() {
    // The host has 1024 MiB: the shared 256, and twelve floors of 64.
    let mut moment = Moment::empty();
    moment.settings.overcommit.disk = 100.0;
    for number in 1..=12 {
        let plan = child(&moment, &format!("c{number}"), &two()).unwrap();
        let Change::MachineStarted { machine, .. } = &plan.commit else { panic!("a start") };
        assert_eq!(machine.memory, Memory::Sealed { snapshot: snapshot_id("saved") });
        moment.open.push(plan);
    }
    assert_eq!(child(&moment, "c13", &two()).unwrap_err(), ErrorCode::NoRoom);
    moment.open.truncate(8);
    child(&moment, "own", &ForkRequest { own_memory: true, ..two() }).unwrap();
    moment.open.push(child(&moment, "c9", &two()).unwrap());
    let own = child(&moment, "own", &ForkRequest { own_memory: true, ..two() });
    assert_eq!(own.unwrap_err(), ErrorCode::NoRoom);
}
