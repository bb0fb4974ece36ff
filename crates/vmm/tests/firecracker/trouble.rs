//! Loads that fail, ends that nobody asked for, and Firecrackers that are none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use engine::port::{Boot, LaunchSpec, Observation, RunState, Vmm};
use rustix::process::{Pid, Signal, kill_process};
use vmm::conformance::Fixture;
use vmm::firecracker::{Binaries, Deadlines, Firecracker};

use super::snapshots::snapshot;
use super::support::{TestHost, binaries, config, skip};

/// How a restore is made impossible, and what its error says.
type Wrong = (&'static str, fn(&mut LaunchSpec), &'static [&'static str]);

const WRONG: [Wrong; 7] = [
    (
        "device state is cut",
        |spec| cut(vmstate(spec)),
        &["/snapshot/load", "Firecracker left with status 1"],
    ),
    (
        "device state is nonsense",
        |spec| fs::write(vmstate(spec), [7; 4096]).unwrap(),
        &["/snapshot/load"],
    ),
    (
        "device state is absent",
        |spec| fs::remove_file(vmstate(spec)).unwrap(),
        &["vmstate.bin", "No such file"],
    ),
    ("memory is cut", |spec| cut(&spec.launch.dir.join("memory")), &["/snapshot/load"]),
    (
        "memory is absent",
        |spec| fs::remove_file(spec.launch.dir.join("memory")).unwrap(),
        &["memory", "No such file"],
    ),
    ("a disk is absent", |spec| fs::remove_file(&spec.disks[0].path).unwrap(), &["system.img"]),
    (
        "the namespace has no tap",
        |spec| spec.slot.namespace = "cvf-absent".into(),
        &["enter the network namespace"],
    ),
];

fn vmstate(spec: &LaunchSpec) -> &Utf8Path {
    let Boot::Restore { vmstate, .. } = &spec.boot else { panic!("it is a restore") };
    vmstate
}

fn cut(path: &Utf8Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length / 2).unwrap();
}

#[tokio::test]
async fn promise_p6_a_wrong_file_of_every_kind_fails_the_restore_with_the_reason() {
    let Some(host) = TestHost::open("wrong").await else { return };
    let source = host.running().await;

    for (what, break_it, wanted) in WRONG {
        let (mut next, _) = snapshot(&host, &source).await;
        break_it(&mut next);

        let error = host.firecracker.launch(&next).await.expect_err(what).chain();

        for part in wanted {
            assert!(error.contains(part), "{what}: {error}");
        }
        host.firecracker.end(&next.launch).await.unwrap();
        let carried = host.firecracker.carried_launches().await.unwrap();
        assert!(!carried.contains(&next.launch.operation), "{what}: nothing is left");
    }
    host.wait_for_tick(&source, 10).await;
}

#[tokio::test]
async fn a_kernel_that_is_none_fails_the_launch_with_firecrackers_reason() {
    let Some(host) = TestHost::open("kernel").await else { return };
    let mut spec = host.cold().await;
    spec.kernel = host.new_file();
    fs::write(&spec.kernel, "no kernel").unwrap();

    let error = host.firecracker.launch(&spec).await.unwrap_err().chain();

    assert!(error.contains("Firecracker left with status 1"), "{error}");
    assert!(error.to_lowercase().contains("kernel"), "{error}");
}

#[tokio::test]
async fn a_killed_firecracker_is_seen_as_killed_and_a_stopped_one_as_silent() {
    let Some(host) = TestHost::open("kill").await else { return };
    let spec = host.cold().await;
    let handle = host.launch(&spec).await;
    let pid = Pid::from_raw(handle.pid.cast_signed()).unwrap();

    kill_process(pid, Signal::STOP).unwrap();
    let observed = host.firecracker.observe(&spec.launch, &handle).await.unwrap();
    assert_eq!(observed, Observation::Alive(RunState::Silent));
    kill_process(pid, Signal::KILL).unwrap();
    assert!(host.firecracker.wait_ended(&spec.launch, Duration::from_secs(30)).await.unwrap());

    let observed = host.firecracker.observe(&spec.launch, &handle).await.unwrap();
    let Observation::Ended { is_clean: false, reason } = observed else { panic!("{observed:?}") };
    assert!(reason.contains("signal 9"), "{reason}");
}

/// A program in place of Firecracker, and what the error about it says.
const IMPOSTORS: [(&str, &str, &[&str]); 4] = [
    ("exits", "#!/bin/sh\nexit 3\n", &["not a 64-bit ELF program"]),
    ("dynamic", "/bin/true", &["it is not static", "ld-linux"]),
    ("absent", "", &["No such file"]),
    ("nonsense", "static", &["it says", "which is no Firecracker"]),
];

#[tokio::test]
async fn an_impostor_of_a_firecracker_is_named_with_the_reason() {
    let real = match binaries() {
        Ok(real) => real,
        Err(reason) => return skip(&reason),
    };
    let temporary = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(temporary.path()).unwrap();
    for (name, content, wanted) in IMPOSTORS {
        let path = dir.join(name);
        match content {
            "" => {}
            "static" => build_static(&path, "int main(void) { return 0; }"),
            "/bin/true" => drop(fs::copy(content, &path).unwrap()),
            script => write_program(&path, script),
        }
        refused(dir, Binaries { firecracker: path, jailer: real.jailer.clone() }, wanted).await;
    }
    let hanging = dir.join("hanging");
    build_static(&hanging, "#include <unistd.h>\nint main(void) { for (;;) pause(); }");
    let wanted = ["did not say its version within"];
    refused(dir, Binaries { firecracker: hanging, jailer: real.jailer.clone() }, &wanted).await;

    let old = dir.join("old");
    build_static(&old, "#include <stdio.h>\nint main(void) { puts(\"Firecracker v1.16.1\"); }");
    let wanted = ["1.16.1", "known to be bad", "vsock"];
    refused(dir, Binaries { firecracker: old, jailer: real.jailer.clone() }, &wanted).await;

    let jailer = dir.join("jailer");
    write_program(&jailer, "#!/bin/sh\necho Jailer v0.1.0\n");
    let wanted = ["jailer", "it is of version 0.1.0"];
    refused(dir, Binaries { firecracker: real.firecracker, jailer }, &wanted).await;
}

async fn refused(dir: &Utf8Path, default: Binaries, wanted: &[&str]) {
    let name = default.firecracker.clone();
    let mut config = config(dir, "cvf-none", default);
    config.versions = None;
    config.deadlines = Deadlines { version: Duration::from_millis(500), ..Deadlines::default() };
    fs::create_dir_all(&config.runtimes).unwrap();

    let error = Firecracker::open(config).await.map(drop).unwrap_err().during("open").chain();

    assert!(error.contains(dir.as_str()), "{error}");
    for part in wanted {
        assert!(error.contains(part), "{name}: {error}");
    }
}

fn write_program(path: &Utf8Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn build_static(path: &Utf8Path, source: &str) {
    let code = Utf8PathBuf::from(format!("{path}.c"));
    fs::write(&code, source).unwrap();
    super::support::run(
        std::process::Command::new("gcc").args(["-static", "-o"]).arg(path).arg(&code),
    );
}
