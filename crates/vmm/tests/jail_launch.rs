//! Launches that do not come to be: the daemon hears why, in time, and nothing is left.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use camino::Utf8Path;
use vmm::cgroup::{Cgroup, unified_mount};
use vmm::jail::spec::{JailSpec, Logs, ProcessLimits, Program, Task, VERSION};
use vmm::jail::{JailError, Launcher, spawn};

/// What a case does to a specification that would work but for its program.
type Change = fn(&mut JailSpec);

const PATIENCE: Duration = Duration::from_secs(30);

/// A control group of this test's own, or `None` with the printed reason.
fn cgroup(name: &str) -> Option<Cgroup> {
    let mount = unified_mount().unwrap();
    if !rustix::process::geteuid().is_root() || mount.is_none() {
        eprintln!("skipped: not root, or no cgroup version 2");
        return None;
    }
    let cgroup = Cgroup::at(&mount?, &format!("cvt{}{name}", std::process::id()));
    cgroup.ensure().unwrap();
    Some(cgroup)
}

fn spec(dir: &Utf8Path) -> JailSpec {
    JailSpec {
        version: VERSION,
        owner: 3_200_000,
        host_name: "cvt".to_owned(),
        network_namespace: None,
        tap: None,
        directory: dir.to_owned(),
        shared_memory: None,
        listeners: Vec::new(),
        runtime: dir.to_owned(),
        interpreter: None,
        files: Vec::new(),
        devices: Vec::new(),
        program: Program {
            path: "/vmm/absent".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        },
        limits: ProcessLimits { open_files: 64, tasks: 64, file_size_bytes: 1024 },
        logs: Logs {
            console: dir.join("console"),
            errors: dir.join("errors"),
            exit: dir.join("exit"),
        },
    }
}

fn launcher(program: &str, arguments: &[&str]) -> Launcher {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Launcher { program: program.into(), arguments }
}

fn own_launcher() -> Launcher {
    launcher(env!("CARGO_BIN_EXE_vmm-launcher"), &[])
}

async fn failing(
    cgroup: &Cgroup,
    launcher: &Launcher,
    deadline: Duration,
    change: Change,
) -> JailError {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(Utf8Path::from_path(dir.path()).unwrap());
    change(&mut spec);
    spawn(launcher, cgroup, &Task::Jail(Box::new(spec)), deadline).await.unwrap_err()
}

#[tokio::test]
async fn a_launcher_that_is_absent_mute_or_silent_is_told_apart_and_leaves_nothing() {
    let Some(cgroup) = cgroup("mute") else { return };

    let absent = failing(&cgroup, &launcher("/absent/launcher", &[]), PATIENCE, |_| {}).await;
    let mute = failing(&cgroup, &launcher("/bin/true", &[]), PATIENCE, |_| {}).await;
    let begun = Instant::now();
    let silent =
        failing(&cgroup, &launcher("/bin/sleep", &["600"]), Duration::from_millis(100), |_| {})
            .await;

    let JailError::Start { source, .. } = absent else { panic!("{absent:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    assert!(matches!(mute, JailError::Wordless), "{mute:?}");
    assert!(matches!(silent, JailError::Silent { .. }), "{silent:?}");
    assert!(begun.elapsed() < PATIENCE);
    assert!(!cgroup.is_populated().unwrap(), "what was silent is gone");
    cgroup.end(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn promise_p2_nothing_is_born_into_a_group_whose_launch_was_undone() {
    let Some(cgroup) = cgroup("undone") else { return };
    cgroup.end(PATIENCE).await.unwrap();

    let error = failing(&cgroup, &own_launcher(), PATIENCE, |_| {}).await;

    assert!(matches!(error, JailError::Cgroup(_)), "{error:?}");
}

#[tokio::test]
async fn every_step_that_fails_is_named_with_its_errno() {
    let Some(cgroup) = cgroup("steps") else { return };
    let cases: [(Change, &str, Option<i32>); 5] = [
        (|spec| spec.version += 1, "read the jail's specification", None),
        (|spec| spec.owner = 0, "read the jail's specification", None),
        (
            |spec| spec.network_namespace = Some("/run/netns/cvt-absent".into()),
            "enter the network namespace /run/netns/cvt-absent",
            Some(libc::ENOENT),
        ),
        (|spec| spec.runtime.push("absent"), "open ", Some(libc::ENOENT)),
        (|_| {}, "start /vmm/absent", Some(libc::ENOENT)),
    ];

    for (change, wanted, errno) in cases {
        let error = failing(&cgroup, &own_launcher(), PATIENCE, change).await;
        let JailError::SetUp { step, os_error, .. } = error else { panic!("{error:?}") };
        assert!(step.starts_with(wanted), "{step}");
        assert_eq!(os_error, errno, "{step}");
    }
    assert!(cgroup.wait_empty(PATIENCE).await.unwrap(), "no keeper is left");
    cgroup.end(PATIENCE).await.unwrap();
}
