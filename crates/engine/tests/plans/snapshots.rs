//! Snapshot create and delete.

use contract::artifact::ArtifactId;
use contract::operation::OperationKind;
use contract::snapshot::CreateSnapshotRequest;
use engine::claim::Claim;
use engine::plan::{Change, Hold, Plan, snapshot};
use engine::port::{DiskSource, SealRequest};
use engine::step::Step;

use super::facts::{
    Moment, machine_id, origin, run_of, snapshot as record, snapshot_id, snapshot_origin, this,
};

fn clone(from: &str, to: &str) -> Step {
    Step::CloneFile {
        source: DiskSource::File { path: from.into() },
        to: format!("/root/scratch/{}/{to}", this()).into(),
        size_bytes: None,
        owner: None,
    }
}

#[test]
fn promise_p3_p5_only_device_state_and_clones_lie_between_pause_and_resume() {
    let moment = Moment::with_box();
    let machine = &moment.machines[0];
    let launch = run_of(machine).launch.clone();
    let request = CreateSnapshotRequest::named(snapshot_id("saved"));
    let plan = snapshot::create(machine, &request, origin(), &moment.facts()).unwrap();
    let scratch = format!("/root/scratch/{}", this());
    let (memory, disk) = ("/root/machines/box/memory", "/root/machines/box/system.img");
    let artifacts = [ArtifactId::VmState, ArtifactId::Memory, ArtifactId::DiskSystem];
    let published = "/root/snapshots/saved";
    let expected = Plan {
        operation: this(),
        kind: OperationKind::CreateSnapshot,
        resource_id: "saved".into(),
        claims: vec![Claim::machine(&machine_id("box")), Claim::snapshot(&snapshot_id("saved"))],
        hold: Hold::UntilCommit,
        prepare: vec![
            Step::MakeDir { dir: scratch.clone().into() },
            Step::SyncDirty { paths: vec![disk.into(), memory.into()] },
            Step::Freeze { launch: launch.clone(), self_thaw_ms: 30_000, deadline_ms: 2_000 },
            Step::SyncDirty { paths: vec![disk.into(), memory.into()] },
            Step::Pause { launch: launch.clone(), limit_ms: None },
            Step::Capture {
                launch: launch.clone(),
                into: format!("{scratch}/vmstate.captured").into(),
            },
            clone(memory, "memory.bin"),
            clone(disk, "system.img"),
            Step::Resume { launch: launch.clone() },
            Step::Thaw { launch, deadline_ms: 2_000 },
            clone(&format!("{scratch}/vmstate.captured"), "vmstate.bin"),
            Step::Seal {
                request: Box::new(SealRequest {
                    dir: scratch.clone().into(),
                    artifacts: artifacts.to_vec(),
                    leftovers: vec!["vmstate.captured".into()],
                    origin: snapshot_origin("saved"),
                }),
            },
            Step::Publish { from: scratch.into(), to: published.into() },
        ],
        commit: Change::SnapshotAdded { snapshot: Box::new(record("saved")) },
        finish: artifacts
            .map(|artifact| Step::SumArtifact {
                snapshot: snapshot_id("saved"),
                dir: published.into(),
                artifact,
            })
            .to_vec(),
    };
    assert_eq!(plan, expected);
}

#[test]
fn a_guest_without_an_agent_is_paused_and_not_frozen() {
    let mut moment = Moment::with_box();
    moment.machines[0].guest_protocol = contract::machine::GuestProtocol::None;
    let request = CreateSnapshotRequest::named(snapshot_id("saved"));
    let plan = snapshot::create(&moment.machines[0], &request, origin(), &moment.facts()).unwrap();
    let names: Vec<&str> = plan.prepare.iter().map(Step::name).collect();
    assert_eq!(
        names,
        [
            "make_dir",
            "sync_dirty",
            "pause",
            "capture",
            "clone_file",
            "clone_file",
            "resume",
            "clone_file",
            "seal",
            "publish",
        ]
    );
}

#[test]
fn promise_p9_deleting_a_snapshot_commits_first_and_removes_after() {
    let mut moment = Moment::empty();
    moment.snapshots.push(record("saved"));
    let plan = snapshot::delete(&moment.snapshots[0], &moment.facts()).unwrap();
    let expected = Plan {
        operation: this(),
        kind: OperationKind::DeleteSnapshot,
        resource_id: "saved".into(),
        claims: vec![Claim::snapshot(&snapshot_id("saved"))],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::SnapshotRemoved { snapshot: snapshot_id("saved") },
        finish: vec![Step::RemoveTree {
            dir: "/root/snapshots/saved".into(),
            scratch: format!("/root/scratch/{}", this()).into(),
        }],
    };
    assert_eq!(plan, expected);
}
