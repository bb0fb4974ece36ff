//! P10 as the host sees it: what a QEMU in its jail is, has, sees and holds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::Utf8Path;
use engine::port::{LaunchSpec, Observation, RunState, Vmm, VmmHandle};
use support::process_facts::{Kinship, status};
use support::{TestHost, give};
use vmm::conformance::Fixture;
use vmm::process::LiveProcess;

/// A running QEMU: its keeper and itself.
struct Running {
    spec: LaunchSpec,
    handle: VmmHandle,
    keeper: u32,
    qemu: u32,
}

async fn running(host: &TestHost) -> Running {
    let spec = host.cold().await;
    let handle = host.qemu.launch(&spec).await.unwrap();
    let processes = host.qemu.run(&spec.launch).cgroup().processes().unwrap();
    let [qemu] = processes.iter().copied().filter(|pid| *pid != handle.pid).collect::<Vec<_>>()[..]
    else {
        panic!("a keeper and a QEMU, and nothing else: {processes:?}");
    };
    Running { spec, keeper: handle.pid, handle, qemu }
}

#[tokio::test]
async fn promise_p10_keeper_and_qemu_have_a_uid_of_their_own_and_no_privilege() {
    let Some(host) = TestHost::open("priv") else { return };
    let vmm = running(&host).await;

    for pid in [vmm.keeper, vmm.qemu] {
        let uid = vmm.spec.slot.uid;
        assert_eq!(status(pid, "Uid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status(pid, "Gid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(status(pid, "Groups"), "");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(status(pid, set), "0000000000000000", "{set} of {pid}");
        }
        assert_eq!(status(pid, "NoNewPrivs"), "1");
        assert_eq!(status(pid, "Seccomp"), "2", "of {pid}");
    }
}

#[tokio::test]
async fn promise_p10_a_jail_has_namespaces_session_and_cgroup_of_its_own() {
    let Some(host) = TestHost::open("ns") else { return };
    let vmm = running(&host).await;
    let namespace =
        |pid: &str, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();

    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        assert_ne!(namespace(&vmm.qemu.to_string(), kind), namespace("self", kind), "{kind}");
    }
    let named = fs::metadata(format!("/run/netns/{}", vmm.spec.slot.namespace)).unwrap();
    assert_eq!(fs::metadata(format!("/proc/{}/ns/net", vmm.qemu)).unwrap().ino(), named.ino());
    assert_eq!(
        status(vmm.keeper, "NSpid"),
        format!("{} 1", vmm.keeper),
        "the keeper is pid 1 inside"
    );

    let keeper = Kinship::of(vmm.keeper);
    assert_ne!(keeper.parent, std::process::id(), "it is nobody's child here");
    assert_ne!(
        keeper.session,
        Kinship::of(std::process::id()).session,
        "it has a session of its own"
    );
    let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", vmm.qemu)).unwrap();
    assert!(
        cgroup.lines().any(|line| line.starts_with("0::/cvt")
            && line.ends_with(vmm.spec.launch.operation.as_str()))
    );
}

#[tokio::test]
async fn promise_p10_a_root_holds_the_machines_own_files_and_only_they_are_writable() {
    let Some(host) = TestHost::open("root") else { return };
    let vmm = running(&host).await;
    let root = format!("/proc/{}/root", vmm.qemu);
    let names = |dir: &str| {
        let mut names: Vec<_> = fs::read_dir(format!("{root}{dir}"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };

    assert_eq!(names("/"), ["dev", "lib64", "machine", "vmm"]);
    assert_eq!(names("/dev"), ["null"]);
    assert_eq!(names("/machine"), ["disk-0", "kernel", "memory"]);
    assert_eq!(names("/lib64"), ["ld-linux-x86-64.so.2"]);
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", vmm.qemu)).unwrap();
    for mount in mounts.lines() {
        let fields: Vec<&str> = mount.split(' ').collect();
        let (point, options) = (fields[4], fields[5]);
        let is_its_own = ["/machine/disk-0", "/machine/memory"].contains(&point);
        assert_eq!(options.starts_with("rw"), is_its_own, "{mount}");
        assert!(options.contains("nosuid"), "{mount}");
        assert!(options.contains("nodev") || point == "/dev", "{mount}");
        assert!(options.contains("noexec") || point == "/vmm", "{mount}");
    }
    assert!(mounts.lines().count() <= 6, "{mounts}");
}

#[tokio::test]
async fn promise_p10_no_descriptor_is_held_beyond_what_is_needed() {
    let Some(host) = TestHost::open("fd") else { return };
    let vmm = running(&host).await;
    let held = |pid: u32| -> Vec<String> {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|entry| {
                fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned()
            })
            .collect()
    };

    for target in held(vmm.qemu) {
        let kinds = ["pipe:", "socket:", "anon_inode:", "/machine/", "/dev/net/tun", "/dev/null"];
        assert!(kinds.iter().any(|kind| target.starts_with(kind)), "QEMU holds {target}");
    }
    let keeper = held(vmm.keeper);
    for target in &keeper {
        let logs = ["console.ring", "vmm.ring", "exit.json"];
        let is_known = ["pipe:", "anon_inode:[pidfd]", "/dev/null"]
            .iter()
            .any(|kind| target.starts_with(kind))
            || logs.iter().any(|log| target.ends_with(log));
        assert!(is_known, "the keeper holds {target}");
    }
    assert!(keeper.len() <= 9, "{keeper:?}");
    for socket in ["jail/qmp.sock", "jail/agent.sock"] {
        let metadata = fs::metadata(vmm.spec.launch.dir.join(socket)).unwrap();
        assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (0, 0o600), "{socket}");
    }
}

#[tokio::test]
async fn promise_p10_a_shared_or_planted_disk_is_refused() {
    let Some(host) = TestHost::open("disk") else { return };
    let plant = |spec: &LaunchSpec, how: &dyn Fn(&Utf8Path)| how(&spec.disks[0].path);
    let linked = host.cold().await;
    plant(&linked, &|disk| fs::hard_link(disk, disk.with_extension("twin")).unwrap());
    let symbolic = host.cold().await;
    plant(&symbolic, &|disk| {
        fs::rename(disk, disk.with_extension("real")).unwrap();
        std::os::unix::fs::symlink(disk.with_extension("real"), disk).unwrap();
    });
    let strangers = host.cold().await;
    plant(&strangers, &|disk| give(disk, strangers.slot.uid + 1000));
    let open = host.cold().await;
    plant(&open, &|disk| fs::set_permissions(disk, fs::Permissions::from_mode(0o666)).unwrap());

    for spec in [linked, symbolic, strangers, open] {
        let error = host.qemu.launch(&spec).await.unwrap_err();
        assert!(error.chain().contains("system.img"), "{}", error.chain());
        host.qemu.end(&spec.launch).await.unwrap();
    }
}

#[tokio::test]
async fn promise_p4_killing_the_keeper_ends_qemu_with_it() {
    let Some(host) = TestHost::open("kill") else { return };
    let vmm = running(&host).await;

    LiveProcess::open(&vmm.handle).unwrap().unwrap().kill().unwrap();

    let patience = std::time::Duration::from_secs(30);
    assert!(host.qemu.wait_ended(&vmm.spec.launch, patience).await.unwrap());
    let observed = host.qemu.observe(&vmm.spec.launch, &vmm.handle).await.unwrap();
    assert!(matches!(observed, Observation::Ended { is_clean: false, .. }), "{observed:?}");
}

#[tokio::test]
async fn promise_p4_a_killed_qemu_is_recorded_with_its_signal() {
    let Some(host) = TestHost::open("sig") else { return };
    let vmm = running(&host).await;

    let pid = rustix::process::Pid::from_raw(i32::try_from(vmm.qemu).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();

    let patience = std::time::Duration::from_secs(30);
    assert!(host.qemu.wait_ended(&vmm.spec.launch, patience).await.unwrap());
    let observed = host.qemu.observe(&vmm.spec.launch, &vmm.handle).await.unwrap();
    let Observation::Ended { is_clean: false, reason } = observed else { panic!("{observed:?}") };
    assert!(reason.contains("signal 9"), "{reason}");
}

#[tokio::test]
async fn a_guest_that_resets_did_not_power_off() {
    let Some(host) = TestHost::open("reset") else { return };
    let spec = host.cold().await;
    let mut disk = fs::OpenOptions::new().write(true).open(&spec.disks[0].path).unwrap();
    disk.seek(SeekFrom::Start(512)).unwrap();
    disk.write_all(&0xdead_u32.to_le_bytes()).unwrap();

    let Ok(handle) = host.qemu.launch(&spec).await else {
        // It reset before the monitor answered.
        assert!(host.console(&spec.launch).contains("RESET"));
        return;
    };

    assert!(host.qemu.wait_ended(&spec.launch, std::time::Duration::from_secs(30)).await.unwrap());
    let observed = host.qemu.observe(&spec.launch, &handle).await.unwrap();
    assert!(matches!(observed, Observation::Ended { is_clean: false, .. }), "{observed:?}");
}

#[tokio::test]
async fn a_silent_qemu_is_seen_as_silent_and_can_still_be_ended() {
    let Some(host) = TestHost::open("mute") else { return };
    let vmm = running(&host).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(vmm.qemu).unwrap()).unwrap();

    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();

    let observed = host.qemu.observe(&vmm.spec.launch, &vmm.handle).await.unwrap();
    assert_eq!(observed, Observation::Alive(RunState::Silent));
    host.qemu.end(&vmm.spec.launch).await.unwrap();
}
