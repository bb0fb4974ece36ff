//! P10 as the host sees it: what a Firecracker in its jail is, has, sees and holds.

use std::fs;
use std::os::unix::fs::MetadataExt;

use engine::port::{LaunchSpec, Vmm, VmmHandle};
use vmm::conformance::Fixture;

use super::process_facts::{Kinship, status};
use super::support::TestHost;

/// A running Firecracker and its keeper.
struct Running {
    spec: LaunchSpec,
    firecracker: u32,
    keeper: u32,
}

async fn running(host: &TestHost) -> Running {
    let spec = host.cold().await;
    let VmmHandle { pid, .. } = host.launch(&spec).await;
    host.wait_for_tick(&spec, 3).await;
    let processes = host.firecracker.run(&spec.launch).cgroup().processes().unwrap();
    let others: Vec<u32> = processes.iter().copied().filter(|other| *other != pid).collect();
    let [keeper] = others[..] else {
        panic!("a keeper and a Firecracker, and nothing else: {processes:?}");
    };
    Running { spec, firecracker: pid, keeper }
}

#[tokio::test]
async fn promise_p10_keeper_and_firecracker_have_a_uid_of_their_own_and_no_privilege() {
    let Some(host) = TestHost::open("priv").await else { return };
    let vmm = running(&host).await;

    let uid = vmm.spec.slot.uid;
    for pid in [vmm.keeper, vmm.firecracker] {
        assert_eq!(status(pid, "Uid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status(pid, "Gid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status(pid, "Groups"), "");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(pid, set), "0000000000000000", "{set} of {pid}");
        }
        assert_eq!(status(pid, "NoNewPrivs"), "1");
    }
    assert_eq!(status(vmm.keeper, "Seccomp"), "2");
    match status(vmm.firecracker, "Seccomp").as_str() {
        "2" => {}
        "0" => eprintln!("skipped: this build of Firecracker carries no seccomp filters"),
        mode => panic!("seccomp mode {mode}"),
    }
}

#[tokio::test]
async fn promise_p10_a_jail_has_namespaces_session_and_cgroup_of_its_own() {
    let Some(host) = TestHost::open("ns").await else { return };
    let vmm = running(&host).await;
    let namespace =
        |pid: &str, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();

    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let own = namespace(&vmm.firecracker.to_string(), kind);
        assert_ne!(own, namespace("self", kind), "{kind}");
    }
    let named = fs::metadata(format!("/run/netns/{}", vmm.spec.slot.namespace)).unwrap();
    let joined = fs::metadata(format!("/proc/{}/ns/net", vmm.firecracker)).unwrap();
    assert_eq!(joined.ino(), named.ino());
    assert_eq!(status(vmm.firecracker, "NSpid"), format!("{} 1", vmm.firecracker));

    let kinship = Kinship::of(vmm.firecracker);
    assert_ne!(kinship.parent, std::process::id(), "it is nobody's child here");
    let own = Kinship::of(std::process::id()).session;
    assert_ne!(kinship.session, own, "it has a session of its own");
    let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", vmm.firecracker)).unwrap();
    assert!(
        cgroup.lines().any(|line| line.starts_with("0::/cvf")
            && line.ends_with(vmm.spec.launch.operation.as_str()))
    );
}

#[tokio::test]
async fn promise_p10_a_root_holds_the_machines_own_files_and_no_disk_can_be_filled() {
    let Some(host) = TestHost::open("root").await else { return };
    let vmm = running(&host).await;
    let root = format!("/proc/{}/root", vmm.firecracker);
    let mut names: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();

    let expected = [
        "api.sock",
        "capture",
        "config.json",
        "dev",
        "disk-0",
        "firecracker",
        "firecracker.pid",
        "kernel",
        "log",
        "run",
        "vsock.sock",
    ];
    assert_eq!(names, expected);
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", vmm.firecracker)).unwrap();
    for mount in mounts.lines() {
        let fields: Vec<&str> = mount.split(' ').collect();
        let (point, options) = (fields[4], fields[5]);
        let is_tmpfs = mount.contains(" - tmpfs ");
        let is_its_own_disk = point == "/disk-0";
        assert!(is_tmpfs || is_its_own_disk || options.starts_with("ro"), "{mount}");
        assert!(options.contains("nosuid"), "{mount}");
        assert!(options.contains("noexec") || point == "/", "{mount}");
    }
    assert_eq!(mounts.lines().count(), 4, "root, capture, kernel and disk: {mounts}");
}

#[tokio::test]
async fn promise_p10_no_descriptor_is_held_beyond_what_is_needed() {
    let Some(host) = TestHost::open("fd").await else { return };
    let vmm = running(&host).await;
    let held = |pid: u32| -> Vec<String> {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|entry| {
                fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned()
            })
            .collect()
    };

    let kinds = ["pipe:", "socket:", "anon_inode:", "/disk-0", "/dev/", "/log"];
    for target in held(vmm.firecracker) {
        let is_known = kinds.iter().any(|kind| target.starts_with(kind))
            || target.starts_with("/memfd:")
            || target == "/dev/null";
        assert!(is_known, "Firecracker holds {target}");
    }
    for target in held(vmm.keeper) {
        let logs = ["console.ring", "vmm.ring", "exit.json"];
        let is_known = ["pipe:", "anon_inode:[pidfd]", "/dev/null"]
            .iter()
            .any(|kind| target.starts_with(kind))
            || logs.iter().any(|name| target.ends_with(name))
            || target.ends_with("/log");
        assert!(is_known, "the keeper holds {target}");
    }
}

#[tokio::test]
async fn promise_p10_a_guest_that_fills_its_console_fills_a_ring() {
    let Some(host) = TestHost::open("ring").await else { return };
    let vmm = running(&host).await;
    let ring = host.firecracker.run(&vmm.spec.launch).logs().console;
    let before = fs::metadata(&ring).unwrap().len();

    host.wait_for_tick(&vmm.spec, 50).await;

    assert_eq!(fs::metadata(&ring).unwrap().len(), before);
    assert!(!host.firecracker.console_tail(&vmm.spec.launch, 100).await.is_empty());
}
