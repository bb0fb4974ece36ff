//! What happens to machines and their daemon on the fake host, short of a fault in every place.

use contract::OperationId;
use engine::phase::Phase;
use engine::reconcile::{Mint, reconcile};
use engine::record::Machine;
use harness::fake::{FakeDaemon, Faults, OperateError};
use harness::sweep::Intent;

async fn done(daemon: &FakeDaemon, intent: Intent) {
    let plan = intent.plan(daemon).expect("a plan");
    daemon.run(plan).await.expect("a plan that ends well");
}

async fn with_box() -> FakeDaemon {
    let daemon = FakeDaemon::first();
    Intent::furnish(&mut daemon.world().lock());
    done(&daemon, Intent::Create("box")).await;
    daemon
}

fn only_machine(daemon: &FakeDaemon) -> Machine {
    daemon.world().lock().rows.machines.values().next().cloned().expect("a machine")
}

#[tokio::test]
async fn promise_p4_after_a_reboot_of_the_host_machines_are_stopped_with_that_reason() {
    let daemon = with_box().await;
    daemon.world().reboot();
    let daemon = daemon.next(Faults::default());
    assert!(daemon.reconcile().await);
    let reason = Some("the host was started anew".to_owned());
    assert_eq!(only_machine(&daemon).phase, Phase::Stopped { reason });
    done(&daemon, Intent::Start("box")).await;
    assert!(matches!(only_machine(&daemon).phase, Phase::Running { .. }));
}

/// Stops the machine, as its caller would, between the reconciler's look at it and what the reconciler makes of that.
struct StoppedMeanwhile<'a>(&'a FakeDaemon);

impl Mint for StoppedMeanwhile<'_> {
    fn operation_id(&self) -> OperationId {
        for machine in self.0.world().lock().rows.machines.values_mut() {
            machine.phase = Phase::Stopped { reason: None };
        }
        OperationId::from_parts(9999, [0; 10])
    }
}

#[tokio::test]
async fn promise_p14_a_machine_that_was_stopped_meanwhile_is_not_retired_for_the_run_that_was() {
    let daemon = with_box().await;
    let launch = only_machine(&daemon).phase.run().expect("it runs").launch.operation.clone();
    daemon.world().lock().end_process(&launch, true, "the guest powered off");

    reconcile(daemon.runner(), &StoppedMeanwhile(&daemon)).await;
    daemon.quiet().await;

    assert_eq!(only_machine(&daemon).phase, Phase::Stopped { reason: None });
}

#[tokio::test]
async fn promise_p4_a_new_daemon_adopts_machines_and_ends_nothing() {
    let daemon = with_box().await;
    let daemon = daemon.next(Faults::default());
    assert!(daemon.reconcile().await && daemon.reconcile().await);
    assert!(matches!(only_machine(&daemon).phase, Phase::Running { .. }));
    assert_eq!(daemon.world().lock().processes.len(), 1);
}

#[tokio::test]
async fn promise_p3_a_caller_that_hangs_up_in_the_middle_of_a_snapshot_cancels_nothing() {
    let daemon = with_box().await;
    let plan = Intent::Snapshot("box", "saved").plan(&daemon).unwrap();
    let ticket = daemon.begin(plan).await.unwrap();
    drop(ticket);
    daemon.quiet().await;
    let state = daemon.world().lock();
    assert_eq!(state.rows.snapshots.len(), 1);
    assert!(state.processes.values().all(harness::fake::Process::works));
    let open: Vec<_> = state.rows.open().map(|operation| operation.plan.kind).collect();
    assert_eq!(open, []);
}

#[tokio::test]
async fn promise_p9_a_snapshot_that_is_being_made_is_neither_made_again_nor_deleted() {
    let daemon = with_box().await;
    let first = Intent::Snapshot("box", "saved").plan(&daemon).unwrap();
    let second = Intent::Snapshot("box", "saved").plan(&daemon).unwrap();
    let mut ticket = daemon.begin(first).await.unwrap();
    let refused = daemon.begin(second).await.unwrap_err();
    assert!(matches!(refused, OperateError::NotBegun(_)), "{refused:?}");
    ticket.closed().await.unwrap();
}

#[tokio::test]
async fn promise_p14_a_guest_whose_agent_never_answers_fails_by_its_deadline_with_the_reason() {
    let daemon = FakeDaemon::first();
    Intent::furnish(&mut daemon.world().lock());
    let plan = Intent::Create("deaf").plan(&daemon).unwrap();
    let mut ticket = daemon.begin(plan).await.unwrap();
    ticket.committed().await.unwrap();
    for process in daemon.world().lock().processes.values_mut() {
        process.guest.agent = harness::fake::Agent::Deaf;
    }
    ticket.closed().await.unwrap();
    let Phase::Failed { reason, kept: None, .. } = only_machine(&daemon).phase else {
        panic!("{:?}", only_machine(&daemon).phase)
    };
    assert!(reason.contains("not ready within its deadline"), "{reason}");
    assert!(reason.ends_with("the last console line"), "{reason}");
    let state = daemon.world().lock();
    assert!(state.processes.is_empty() && state.slots.is_empty() && state.cgroups.is_empty());
}

fn ports(daemon: &FakeDaemon) -> Vec<u16> {
    daemon.world().lock().relays.keys().copied().collect()
}

#[tokio::test]
async fn promise_p4_a_new_daemon_opens_the_relays_of_machines_that_run() {
    let daemon = with_box().await;
    done(&daemon, Intent::Publish("box", "web")).await;
    assert_eq!(ports(&daemon), [20_000, 40_000, 45_000]);
    let daemon = daemon.next(Faults::default());
    assert!(ports(&daemon).is_empty(), "they ended with the process");
    assert!(daemon.reconcile().await);
    assert_eq!(ports(&daemon), [20_000, 40_000, 45_000]);
}

#[tokio::test]
async fn relays_close_with_their_machine_and_open_again_at_the_same_ports() {
    let daemon = with_box().await;
    done(&daemon, Intent::Publish("box", "web")).await;
    done(&daemon, Intent::Create("other")).await;
    done(&daemon, Intent::Stop("box")).await;
    assert_eq!(ports(&daemon), [40_001, 45_001]);
    done(&daemon, Intent::Publish("box", "api")).await;
    assert_eq!(ports(&daemon), [40_001, 45_001], "nothing leads to a machine that is stopped");
    done(&daemon, Intent::Start("box")).await;
    assert_eq!(ports(&daemon), [20_000, 20_001, 40_000, 40_001, 45_000, 45_001]);
}

#[tokio::test]
async fn promise_p13_a_foreign_listener_is_skipped_when_ports_are_chosen_and_when_they_are_taken() {
    let daemon = FakeDaemon::first();
    Intent::furnish(&mut daemon.world().lock());
    daemon.world().lock().foreign_listeners.extend([40_000, 20_000]);
    done(&daemon, Intent::Create("box")).await;
    done(&daemon, Intent::Publish("box", "web")).await;
    assert_eq!(ports(&daemon), [20_001, 40_001, 45_000]);
    let daemon = daemon.next(Faults::default());
    daemon.world().lock().foreign_listeners.extend([40_001, 20_001]);
    assert!(daemon.reconcile().await);
    assert_eq!(ports(&daemon), [20_002, 40_002, 45_000], "taken while no daemon ran");
    done(&daemon, Intent::Stop("box")).await;
    daemon.world().lock().foreign_listeners.insert(45_000);
    done(&daemon, Intent::Start("box")).await;
    assert_eq!(ports(&daemon), [20_002, 40_002, 45_001], "taken while it was stopped");
}

#[tokio::test]
async fn a_relay_that_no_record_owns_is_closed_by_reconcile() {
    let daemon = with_box().await;
    let stray = harness::fake::world::FakeRelay { slot: 7, guest_port: 80 };
    daemon.world().lock().relays.insert(20_050, stray);
    assert!(daemon.reconcile().await);
    assert_eq!(ports(&daemon), [40_000, 45_000]);
}
