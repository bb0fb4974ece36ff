//! Mounts: what is recorded, where the secret goes, and what is refused.

use contract::ErrorCode;
use contract::machine::GuestProtocol;
use contract::mount::CreateMountRequest;
use contract::operation::OperationKind;
use engine::claim::Claim;
use engine::plan::{Change, Hold, Plan, mount};
use engine::record::{Mount, MountState};
use engine::step::Step;
use serde_json::json;

use super::facts::{Moment, machine_id, now, this};

fn request() -> CreateMountRequest {
    serde_json::from_value(json!({
        "mount_id": "data", "kind": "s3", "target_path": "/mnt//data/.", "read_only": true,
        "config": {
            "bucket": "b", "endpoint": "https://store.test", "region": "eu", "access_key_id": "id",
            "secret_access_key": "hunter2", "vfs_cache_mode": "writes", "extra_flags": ["--transfers=2"]
        }
    }))
    .unwrap()
}

fn recorded() -> Mount {
    Mount {
        id: "data".parse().unwrap(),
        kind: request().kind,
        target_path: "/mnt/data".into(),
        read_only: true,
        config: request().config.without_secret(),
        made_by: this(),
        state: MountState::Pending,
        created_at: now(),
    }
}

const SECRET: &str = "/root/machines/box/mounts";

#[test]
fn promise_p11_a_mount_is_recorded_without_its_secret_which_goes_to_a_file_of_its_own() {
    let moment = Moment::with_box();
    let plan = mount::create(&request(), &moment.machines[0], &moment.facts()).unwrap();
    let expected = Plan {
        operation: this(),
        kind: OperationKind::CreateMount,
        resource_id: "data".into(),
        claims: vec![Claim::machine(&machine_id("box"))],
        hold: Hold::UntilCommit,
        prepare: vec![Step::KeepSecret {
            path: format!("{SECRET}/{}", this()).into(),
            secret: request().config.secret_access_key,
        }],
        commit: Change::MountAdded { machine: machine_id("box"), mount: Box::new(recorded()) },
        finish: vec![],
    };
    assert_eq!(plan, expected);
    assert!(!serde_json::to_string(&plan.commit).unwrap().contains("hunter2"));
}

#[test]
fn a_mount_is_taken_out_of_the_records_then_out_of_the_guest_and_its_secret_is_forgotten() {
    let mut moment = Moment::with_box();
    moment.machines[0].mounts.push(recorded());
    let machine = &moment.machines[0];
    let plan = mount::delete(machine, &machine.mounts[0], &moment.facts());
    assert_eq!(plan.hold, Hold::UntilClose);
    let removed = Change::MountRemoved { machine: machine_id("box"), mount: recorded().id };
    assert_eq!(plan.commit, removed);
    let launch = machine.phase.run().unwrap().launch.clone();
    let expected = [
        Step::Unmount { launch, mount: recorded().id, deadline_ms: 30_000 },
        Step::ForgetSecret { path: format!("{SECRET}/{}", this()).into() },
    ];
    assert_eq!(plan.finish, expected);
}

#[test]
fn what_could_harm_or_cannot_work_is_refused() {
    let mut moment = Moment::with_box();
    let code = |moment: &Moment, change: &dyn Fn(&mut CreateMountRequest)| {
        let mut request = request();
        change(&mut request);
        mount::create(&request, &moment.machines[0], &moment.facts()).unwrap_err().code
    };
    for target in ["", "/", "mnt/x", "/mnt", "/etc/x", "/mnt/../etc", "/proc/x", "/mnt/a\nb"] {
        let refused = code(&moment, &|request| request.target_path = target.into());
        assert_eq!(refused, ErrorCode::Refused, "{target:?}");
    }
    for flag in [
        "--config=/etc/x",
        "--log-file=/x",
        "transfers=2",
        "--rc",
        "--transfers=2 --rc",
        "-v",
        "--umask=/x",
        "--",
    ] {
        let refused = code(&moment, &|request| request.config.extra_flags = vec![flag.into()]);
        assert_eq!(refused, ErrorCode::Refused, "{flag:?}");
    }
    for endpoint in ["store.test", "file:///etc", "https://u:p@store.test", "http://"] {
        let refused = code(&moment, &|request| request.config.endpoint = endpoint.into());
        assert_eq!(refused, ErrorCode::Refused, "{endpoint:?}");
    }
    let refused = code(&moment, &|request| request.config.bucket = String::new());
    assert_eq!(refused, ErrorCode::Refused);
    let refused = code(&moment, &|request| request.config.bucket = "b\ntype = local".into());
    assert_eq!(refused, ErrorCode::Refused);
    let refused = code(&moment, &|request| request.config.vfs_cache_mode = "all".into());
    assert_eq!(refused, ErrorCode::Refused);

    moment.machines[0].mounts.push(recorded());
    assert_eq!(code(&moment, &|_| {}), ErrorCode::Exists);
    let refused = code(&moment, &|request| request.mount_id = "other".parse().unwrap());
    assert_eq!(refused, ErrorCode::Exists, "the same target");
    moment.machines[0].mounts.clear();
    moment.machines[0].guest_protocol = GuestProtocol::None;
    assert_eq!(code(&moment, &|_| {}), ErrorCode::NoAgent);
}
