//! What every `Journal` must do, whether it is SQLite's or a fake: each case takes an empty one.

use std::time::Duration;

use contract::OperationId;
use contract::operation::OperationState;
use contract::port::PortName;

use crate::phase::Phase;
use crate::plan::{Change, MovedPort};
use crate::port::{BeginError, Closing, Fault, Journal};
use crate::record::{Finding, Operation, OperationError, RelayPort, SnapshotState, Volume};

use super::journal_values::{
    finished_part, id, key, keyed, now, part, plan, published, ready, removed, snapshot, start,
    stopped, volume,
};
use super::{ManualClock, operation};

/// Longer than operations and their keys are kept.
const LONG: Duration = Duration::from_secs(25 * 3600);

/// Where the clock of a fresh journal stands.
pub fn start_of_time() -> jiff::Timestamp {
    now()
}

/// A completed start of the machine `box`.
pub fn a_start() -> Change {
    start("box", 1)
}

/// A snapshot without files.
pub fn a_snapshot() -> crate::record::Snapshot {
    snapshot("snap")
}

/// An operation that has a key.
pub fn an_operation() -> Operation {
    keyed(1)
}

/// Runs the suite. `fresh` answers an empty journal, and the clock that it reads, at [`start_of_time`].
///
/// # Panics
/// When the journal does not behave.
pub async fn conforms<J: Journal>(fresh: impl Fn() -> (J, std::sync::Arc<ManualClock>)) {
    what_was_begun_is_open_and_reads_back_whole(&fresh().0).await;
    findings_are_kept_in_order(&fresh().0).await;
    a_commit_writes_records_and_state_together(&fresh().0).await;
    a_commit_that_the_records_refuse_changes_nothing(&fresh().0).await;
    a_change_about_a_launch_that_is_over_writes_nothing(&fresh().0).await;
    volumes_that_go_with_a_machine_go_and_others_are_detached(&fresh().0).await;
    a_failed_operation_is_open_until_it_is_undone(&fresh().0).await;
    closing_takes_the_steps_and_their_secrets_away(&fresh().0).await;
    a_closing_change_is_written_with_the_close(&fresh().0).await;
    a_key_is_taken_while_open_and_when_committed_and_free_when_undone(&fresh().0).await;
    let (journal, clock) = fresh();
    keys_and_closed_operations_are_forgotten_after_a_day(&journal, &clock).await;
    let (journal, clock) = fresh();
    operations_are_listed_newest_first(&journal, &clock).await;
    parts_are_remembered_until_the_snapshot_is_gone(&fresh().0).await;
    snapshots_are_summed_quarantined_and_removed(&fresh().0).await;
    ports_are_published_moved_and_go_with_their_machine(&fresh().0).await;
    volumes_come_grow_are_attached_and_outlive_their_machine(&fresh().0).await;
    a_machine_that_is_resized_takes_its_system_volume_along(&fresh().0).await;
}

async fn what_was_begun_is_open_and_reads_back_whole(journal: &impl Journal) {
    let operation = begun(journal, 1, start("box", 1)).await;
    let found = journal.operation(&operation.id).await.expect("reads");
    assert_eq!(found.as_ref(), Some(&operation));
    assert_eq!(open(journal).await, [operation]);
    let again = journal.begin(&Operation::new(plan(1, start("box", 1)), now())).await;
    assert!(matches!(again, Err(BeginError::Store(_))), "an id is used once");
}

async fn findings_are_kept_in_order(journal: &impl Journal) {
    let id = begun(journal, 1, removed("box")).await.id;
    let findings: Vec<Finding> = (0..20).map(|number| finished_part("m", number)).collect();
    for finding in &findings {
        journal.note(&id, finding).await.expect("notes");
    }
    assert_eq!(read(journal, &id).await.findings, findings);
}

async fn a_commit_writes_records_and_state_together(journal: &impl Journal) {
    let id = begun(journal, 1, start("box", 1)).await.id;
    assert_eq!(journal.machines().await.expect("lists"), []);
    journal.commit(&id, &start("box", 1)).await.expect("commits");
    let operation = read(journal, &id).await;
    assert_eq!(operation.state, OperationState::Committed);
    assert_eq!(operation.committed, Some(start("box", 1)));
    assert_eq!(open(journal).await.len(), 1, "its finishing steps are to come");
    let machines = journal.machines().await.expect("lists");
    assert!(matches!(machines[0].phase, Phase::Starting { .. }));
    assert_eq!(journal.machine(&machines[0].id).await.expect("reads").as_ref(), Some(&machines[0]));
    let volumes = journal.volumes().await.expect("lists");
    assert_eq!(volumes.iter().map(|volume| volume.id.as_str()).collect::<Vec<_>>(), ["box-system"]);
}

async fn a_commit_that_the_records_refuse_changes_nothing(journal: &impl Journal) {
    let id = begun(journal, 1, stopped("box")).await.id;
    journal.commit(&id, &stopped("box")).await.expect_err("there is no such machine");
    assert_eq!(read(journal, &id).await.state, OperationState::Running);
    let unknown = operation(9);
    journal.commit(&unknown, &start("box", 1)).await.expect_err("no such operation");
    assert_eq!(journal.machines().await.expect("lists"), [], "rows and state go together");
}

async fn a_change_about_a_launch_that_is_over_writes_nothing(journal: &impl Journal) {
    committed(journal, 1, start("box", 1)).await;
    let before = journal.machines().await.expect("lists");
    journal.apply(&ready("box", operation(9))).await.expect("comes too late");
    assert_eq!(journal.machines().await.expect("lists"), before);
    journal.apply(&ready("box", operation(1))).await.expect("applies");
    let after = journal.machines().await.expect("lists");
    assert!(matches!(after[0].phase, Phase::Running { .. }));
}

async fn volumes_that_go_with_a_machine_go_and_others_are_detached(journal: &impl Journal) {
    let Change::MachineStarted { machine, mut new_volumes, launch, slot, handle, deadline } =
        start("box", 1)
    else {
        panic!("a start");
    };
    new_volumes.push(volume("data", false));
    new_volumes.push(volume("box-user-1", true));
    let change = Change::MachineStarted { machine, new_volumes, launch, slot, handle, deadline };
    committed(journal, 1, change).await;
    assert_eq!(journal.volumes().await.expect("lists").len(), 3);
    committed(journal, 2, removed("box")).await;
    assert_eq!(journal.machines().await.expect("lists"), []);
    let left = journal.volumes().await.expect("lists");
    assert_eq!(left, [Volume { attached: None, ..volume("data", false) }]);
}

async fn a_failed_operation_is_open_until_it_is_undone(journal: &impl Journal) {
    let id = begun(journal, 1, start("box", 1)).await.id;
    let error = OperationError { fault: Fault::Upstream, reason: "the store hung up".into() };
    journal.fail(&id, &error).await.expect("fails");
    let failed = read(journal, &id).await;
    assert_eq!((failed.state, failed.error.as_ref()), (OperationState::Failed, Some(&error)));
    assert_eq!(open(journal).await.len(), 1);
    journal.close(&id, &Closing::Undone).await.expect("closes");
    let undone = read(journal, &id).await;
    assert_eq!((undone.state, undone.error.as_ref()), (OperationState::Undone, Some(&error)));
    assert_eq!(undone.ended_at, Some(now()));
    assert_eq!(open(journal).await, []);
    assert_eq!(journal.machines().await.expect("lists"), []);
}

/// Promise P11.
async fn closing_takes_the_steps_and_their_secrets_away(journal: &impl Journal) {
    let id = begun(journal, 1, start("box", 1)).await.id;
    assert_eq!(read(journal, &id).await.plan.prepare.len(), 1);
    journal.commit(&id, &start("box", 1)).await.expect("commits");
    journal.close(&id, &Closing::Finished(None)).await.expect("closes");
    let plan = read(journal, &id).await.plan;
    assert_eq!((plan.prepare, plan.finish), (vec![], vec![]));
    assert_eq!(plan.resource_id, "box");
}

async fn a_closing_change_is_written_with_the_close(journal: &impl Journal) {
    let id = begun(journal, 1, start("box", 1)).await.id;
    journal.commit(&id, &start("box", 1)).await.expect("commits");
    let closing = Closing::Finished(Some(Box::new(ready("box", id.clone()))));
    journal.close(&id, &closing).await.expect("closes");
    let machines = journal.machines().await.expect("lists");
    assert!(matches!(machines[0].phase, Phase::Running { .. }));
    let operation = read(journal, &id).await;
    assert_eq!(operation.state, OperationState::Committed);
    assert_eq!(operation.committed, Some(start("box", 1)), "the answer is that of the commit");
}

async fn a_key_is_taken_while_open_and_when_committed_and_free_when_undone(journal: &impl Journal) {
    journal.begin(&keyed(1)).await.expect("begins");
    taken_by(journal, 1).await;
    let error = OperationError { fault: Fault::Internal, reason: "no luck".into() };
    journal.fail(&operation(1), &error).await.expect("fails");
    taken_by(journal, 1).await;
    journal.close(&operation(1), &Closing::Undone).await.expect("closes");
    journal.begin(&keyed(2)).await.expect("what was undone is run anew");
    journal.commit(&operation(2), &start("box", 2)).await.expect("commits");
    journal.close(&operation(2), &Closing::Finished(None)).await.expect("closes");
    taken_by(journal, 2).await;
    let latest = journal.operation_by_key(&key()).await.expect("finds").expect("it is kept");
    assert_eq!(latest.id, operation(2));
    assert_eq!(latest.request_sha256, keyed(2).request_sha256);
}

async fn keys_and_closed_operations_are_forgotten_after_a_day(
    journal: &impl Journal,
    clock: &ManualClock,
) {
    journal.begin(&keyed(1)).await.expect("begins");
    journal.commit(&operation(1), &start("box", 1)).await.expect("commits");
    clock.advance(LONG);
    journal.prune().await.expect("prunes");
    taken_by(journal, 1).await;
    journal.close(&operation(1), &Closing::Finished(None)).await.expect("closes");
    journal.prune().await.expect("prunes");
    taken_by(journal, 1).await;
    clock.advance(LONG);
    assert_eq!(journal.operation_by_key(&key()).await.expect("finds"), None);
    journal.prune().await.expect("prunes");
    assert_eq!(journal.operation(&operation(1)).await.expect("reads"), None);
    assert_eq!(journal.machines().await.expect("lists").len(), 1, "records stay");
    journal.begin(&keyed(2)).await.expect("the key is free again");
}

async fn operations_are_listed_newest_first(journal: &impl Journal, clock: &ManualClock) {
    use crate::port::Clock;
    for number in 1..=3 {
        let plan = plan(number, removed("box"));
        journal.begin(&Operation::new(plan, clock.now())).await.expect("begins");
        clock.advance(Duration::from_millis(1));
    }
    let listed = journal.operations(2).await.expect("lists");
    let ids: Vec<_> = listed.into_iter().map(|listed| listed.id).collect();
    assert_eq!(ids, [operation(3), operation(2)]);
}

/// Promise P12.
async fn parts_are_remembered_until_the_snapshot_is_gone(journal: &impl Journal) {
    let added = Change::SnapshotAdded { snapshot: Box::new(snapshot("snap")) };
    committed(journal, 1, added).await;
    let upload = Change::UploadFinished { snapshot: id("snap"), parts: vec![] };
    for (number, outcome) in [(2, Closing::Undone), (3, Closing::Finished(None))] {
        let operation = begun(journal, number, upload.clone()).await.id;
        journal.note(&operation, &finished_part("upload", number.into())).await.expect("notes");
        if let Closing::Finished(_) = outcome {
            journal.commit(&operation, &upload).await.expect("commits");
        }
        journal.close(&operation, &outcome).await.expect("closes");
    }
    let parts = journal.finished_parts(&id("snap")).await.expect("lists");
    assert_eq!(parts, [part("upload", 2), part("upload", 3)]);
    assert_eq!(journal.finished_parts(&id("other")).await.expect("lists"), []);
    committed(journal, 4, Change::SnapshotRemoved { snapshot: id("snap") }).await;
    assert_eq!(
        journal.finished_parts(&id("snap")).await.expect("lists"),
        [],
        "another snapshot of this name has other bytes"
    );
}

async fn snapshots_are_summed_quarantined_and_removed(journal: &impl Journal) {
    let mut later = snapshot("a");
    later.origin.created_at = now() + Duration::from_secs(1);
    for (number, snapshot) in [(1, later), (2, snapshot("b"))] {
        committed(journal, number, Change::SnapshotAdded { snapshot: Box::new(snapshot) }).await;
    }
    let snapshots = journal.snapshots().await.expect("lists");
    let names: Vec<_> = snapshots.iter().map(|it| it.origin.snapshot.as_str()).collect();
    assert_eq!(names, ["b", "a"], "by time");
    let reason = String::from("its memory was swapped");
    let change = Change::SnapshotQuarantined { snapshot: id("b"), reason: reason.clone() };
    journal.apply(&change).await.expect("applies");
    let found = journal.snapshot(&id("b")).await.expect("reads").expect("is there");
    assert_eq!(found.state, SnapshotState::Quarantined { reason });
    committed(journal, 3, Change::SnapshotRemoved { snapshot: id("b") }).await;
    assert_eq!(journal.snapshot(&id("b")).await.expect("reads"), None);
}

async fn ports_are_published_moved_and_go_with_their_machine(journal: &impl Journal) {
    let machine: contract::MachineId = "box".parse().expect("a machine id");
    let add = |name: &str, port| Change::PublishedPortAdded { port: published(name, port) };
    let early = journal.apply(&add("early", 1)).await;
    early.expect_err("there is no such machine");
    committed(journal, 1, start("box", 1)).await;
    let mut later = published("a", 20_001);
    later.created_at = now() + Duration::from_secs(1);
    journal.apply(&Change::PublishedPortAdded { port: later.clone() }).await.expect("applies");
    journal.apply(&add("b", 20_000)).await.expect("applies");
    let listed = journal.published_ports().await.expect("lists");
    assert_eq!(listed, [published("b", 20_000), later.clone()], "by time");
    let relay = RelayPort { name: PortName::Exec, host_port: 50_000 };
    let added = Change::RelayAdded { machine: machine.clone(), relay };
    journal.apply(&added).await.expect("applies");
    let moved = [(20_000, 20_002), (40_000, 40_001), (7, 8)];
    let moved = moved.map(|(from, to)| MovedPort { from, to }).to_vec();
    let moves = Change::PortsMoved { machine: machine.clone(), moved };
    journal.apply(&moves).await.expect("applies");
    let listed = journal.published_ports().await.expect("lists");
    assert_eq!(listed, [published("b", 20_002), later], "only what was named has moved");
    let found = journal.machine(&machine).await.expect("reads").expect("is there");
    let ssh = RelayPort { name: PortName::Ssh, host_port: 40_001 };
    assert_eq!(found.relays, [ssh, relay]);
    let port = "b".parse().expect("a published port id");
    let removed_port = Change::PublishedPortRemoved { machine, port };
    journal.apply(&removed_port).await.expect("applies");
    assert_eq!(journal.published_ports().await.expect("lists").len(), 1);
    committed(journal, 2, removed("box")).await;
    assert_eq!(journal.published_ports().await.expect("lists"), []);
    journal.apply(&moves).await.expect("comes too late");
}

async fn volumes_come_grow_are_attached_and_outlive_their_machine(journal: &impl Journal) {
    let machine: contract::MachineId = "box".parse().expect("a machine id");
    committed(journal, 1, start("box", 1)).await;
    journal.apply(&stopped("box")).await.expect("applies");
    let loose = Volume { attached: None, ..volume("data", false) };
    let id = loose.id.clone();
    journal.apply(&Change::VolumeAdded { volume: loose.clone() }).await.expect("applies");
    let grown = Change::VolumeGrown { volume: id.clone(), size_bytes: 2 << 20 };
    journal.apply(&grown).await.expect("applies");
    let (attached, detached) = (
        Change::VolumeAttached { volume: id.clone(), machine: machine.clone() },
        Change::VolumeDetached { volume: id.clone(), machine: machine.clone() },
    );
    let found = async || {
        let volumes = journal.volumes().await.expect("lists");
        let volume = volumes.into_iter().find(|volume| volume.id == id);
        let disks = journal.machine(&machine).await.expect("reads").map(|it| it.user_volume_ids);
        (volume, disks.unwrap_or_default())
    };
    let large = Volume { size_bytes: 2 << 20, ..loose };
    let here = Volume { attached: Some(machine.clone()), ..large.clone() };
    for _ in 0..2 {
        journal.apply(&attached).await.expect("applies");
        assert_eq!(found().await, (Some(here.clone()), vec![id.clone()]));
        journal.apply(&detached).await.expect("applies");
        assert_eq!(found().await, (Some(large.clone()), vec![]));
    }
    journal.apply(&attached).await.expect("applies");
    committed(journal, 2, removed("box")).await;
    assert_eq!(found().await, (Some(large), vec![]), "promise P9");
    let gone = Change::VolumeRemoved { volume: id.clone() };
    journal.apply(&gone).await.expect("applies");
    assert_eq!(found().await, (None, vec![]));
    journal.apply(&grown).await.expect_err("there is no such volume");
}

async fn a_machine_that_is_resized_takes_its_system_volume_along(journal: &impl Journal) {
    committed(journal, 1, start("box", 1)).await;
    let machine = "box".parse().expect("a machine id");
    let resized = Change::MachineResized { machine, memory_mib: 1024, storage_bytes: 8 << 30 };
    journal.apply(&resized).await.expect("applies");
    let machines = journal.machines().await.expect("lists");
    assert_eq!((machines[0].shape.memory_mib, machines[0].storage_bytes), (1024, 8 << 30));
    assert_eq!(journal.volumes().await.expect("lists")[0].size_bytes, 8 << 30);
}

async fn begun(journal: &impl Journal, number: u8, change: Change) -> Operation {
    let operation = Operation::new(plan(number, change), now());
    journal.begin(&operation).await.expect("begins");
    operation
}

async fn committed(journal: &impl Journal, number: u8, change: Change) {
    let id = begun(journal, number, change.clone()).await.id;
    journal.commit(&id, &change).await.expect("commits");
    journal.close(&id, &Closing::Finished(None)).await.expect("closes");
}

async fn open(journal: &impl Journal) -> Vec<Operation> {
    let open = journal.open_operations().await.expect("lists");
    open.into_iter().map(|operation| operation.expect("a readable row")).collect()
}

async fn read(journal: &impl Journal, id: &OperationId) -> Operation {
    journal.operation(id).await.expect("reads").expect("is there")
}

async fn taken_by(journal: &impl Journal, number: u8) {
    let refused = journal.begin(&keyed(200)).await;
    assert!(matches!(refused, Err(BeginError::KeyTaken(holder)) if holder == operation(number)));
}
