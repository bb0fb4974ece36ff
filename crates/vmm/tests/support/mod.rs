//! A host for tests: a real QEMU, a tiny guest, namespaces and control groups named `cvt...`, and everything gone afterwards.
#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod process_facts;

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{MachineId, OperationId};
use engine::port::{Boot, Disk, GuestMemory, Launch, LaunchSpec, Vmm};
use engine::record::{Shape, Slot, Tuning, VmmKind};
use tempfile::TempDir;
use vmm::conformance::Fixture;
use vmm::jail::{Launcher, ring};
use vmm::qemu::{AcceleratorChoice, Deadlines, Qemu, QemuConfig, default_kernel_arguments};

/// Guest RAM of the tiny guest.
pub(crate) const MEMORY_MIB: u64 = 32;
/// Where the tiny guest keeps its counter.
const COUNTER_ADDRESS: u64 = 0x20_0000;
/// Where test uids begin.
const FIRST_UID: u32 = 3_100_000;

/// A QEMU adapter with a directory, a control group and namespaces of its own.
pub(crate) struct TestHost {
    pub(crate) qemu: Qemu,
    pub(crate) dir: TempDir,
    name: String,
    kernel: Utf8PathBuf,
    next: AtomicU32,
}

/// Why tests that run QEMU cannot run here, if they cannot.
fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    for path in ["/usr/bin/qemu-system-x86_64", "/usr/bin/gcc", "/dev/net/tun"] {
        if !Utf8Path::new(path).exists() {
            return Some(format!("no {path}"));
        }
    }
    match vmm::cgroup::unified_mount() {
        Ok(Some(_)) => None,
        _ => Some("no cgroup version 2".to_owned()),
    }
}

/// An adapter as a daemon with this root and control group has it.
pub(crate) fn adapter(root: &Utf8Path, cgroup: &str) -> Qemu {
    let config = QemuConfig {
        binary: "/usr/bin/qemu-system-x86_64".into(),
        runtimes: root.join("runtimes"),
        launcher: Launcher {
            program: env!("CARGO_BIN_EXE_vmm-launcher").into(),
            arguments: Vec::new(),
        },
        cgroup: cgroup.to_owned(),
        network_namespaces: "/run/netns".into(),
        kernel_arguments: default_kernel_arguments(),
        accelerator: AcceleratorChoice::Auto,
        deadlines: Deadlines::default(),
    };
    Qemu::open(config).unwrap()
}

impl TestHost {
    /// A host, or `None` with the printed reason. `name` tells the hosts of one test program apart.
    pub(crate) fn open(name: &str) -> Option<Self> {
        if let Some(reason) = lacking() {
            eprintln!("skipped: {reason}");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("cvt").tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().to_owned();
        let kernel = root.join("tiny.elf");
        let build = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/build.sh");
        run(Command::new("sh").arg(build).arg(&kernel));
        std::fs::create_dir(root.join("runtimes")).unwrap();
        let name = format!("cvt{}{name}", std::process::id());
        let qemu = adapter(&root, &name);
        Some(Self { qemu, dir, name, kernel, next: AtomicU32::new(1) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    /// A machine's directory, slot and namespace, without its files.
    pub(crate) fn new_machine(&self) -> LaunchSpec {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.root().join(format!("machine-{index}"));
        std::fs::create_dir(&dir).unwrap();
        let slot = Slot {
            index,
            namespace: format!("{}-{index}", self.name),
            host_interface: format!("cvt-{index}"),
            host_address: Ipv4Addr::LOCALHOST,
            runtime_address: Ipv4Addr::LOCALHOST,
            uid: FIRST_UID + index,
        };
        run(Command::new("ip").args(["netns", "add", &slot.namespace]));
        let uid = slot.uid.to_string();
        run(Command::new("ip").args([
            "-n",
            &slot.namespace,
            "tuntap",
            "add",
            "tap0",
            "mode",
            "tap",
            "user",
            &uid,
        ]));
        LaunchSpec {
            launch: Launch {
                machine: format!("cvt-{index}").parse::<MachineId>().unwrap(),
                operation: operation(index),
                vmm: VmmKind::Qemu,
                dir: dir.clone(),
            },
            shape: Shape { vcpus: 1, memory_mib: MEMORY_MIB },
            kernel: self.kernel.clone(),
            initrd: None,
            memory: GuestMemory::Own { path: dir.join("memory") },
            disks: vec![Disk { path: dir.join("system.img") }],
            slot,
            boot: Boot::Cold,
            tuning: Tuning::default(),
        }
    }

    /// The serial console so far.
    pub(crate) fn console(&self, launch: &Launch) -> String {
        let tail = ring::read_tail(&self.qemu.run(launch).logs().console, usize::MAX).unwrap();
        String::from_utf8_lossy(&tail).into_owned()
    }
}

/// The counter in a memory file.
pub(crate) fn counter_in(memory: &Utf8Path) -> u32 {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 4];
    std::fs::File::open(memory).unwrap().read_exact_at(&mut bytes, COUNTER_ADDRESS).unwrap();
    u32::from_le_bytes(bytes)
}

/// The values of all whole `TICK` lines of a console.
pub(crate) fn ticks(console: &str) -> Vec<u32> {
    assert!(!console.contains("TORN"), "memory and disk are of different instants: {console}");
    let whole = console.rfind('\n').map_or("", |end| &console[..end]);
    whole
        .lines()
        .filter_map(|line| line.strip_prefix("TICK n=")?.split_once(" disk=")?.0.parse().ok())
        .collect()
}

/// A file that the machine's uid owns.
pub(crate) fn give(path: &Utf8Path, uid: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An operation id that is this test program's and machine's own.
fn operation(index: u32) -> OperationId {
    let digits = format!("{:026}", u64::from(std::process::id()) * 10_000 + u64::from(index));
    digits.parse().unwrap()
}

#[async_trait]
impl Fixture for TestHost {
    async fn cold(&self) -> LaunchSpec {
        let spec = self.new_machine();
        let disk = &spec.disks[0].path;
        std::fs::File::create(disk).unwrap().set_len(1024 * 1024).unwrap();
        give(disk, spec.slot.uid);
        spec
    }

    async fn restored(&self, source: &LaunchSpec, vmstate: &Utf8Path) -> LaunchSpec {
        let mut spec = self.new_machine();
        let tsc_khz = self.qemu.facts().tsc_khz;
        let vmm_sha256 = "0".repeat(64).parse().unwrap();
        spec.boot = Boot::Restore { vmstate: vmstate.to_owned(), tsc_khz, vmm_sha256 };
        for name in ["memory", "system.img"] {
            let to = spec.launch.dir.join(name);
            run(Command::new("cp")
                .args(["--reflink=auto", "--sparse=always"])
                .arg(source.launch.dir.join(name))
                .arg(&to));
            give(&to, spec.slot.uid);
        }
        spec
    }

    async fn counted(&self, launch: &Launch) -> u64 {
        ticks(&self.console(launch)).last().copied().unwrap_or(0).into()
    }

    fn new_file(&self) -> Utf8PathBuf {
        self.root().join(format!("file-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for TestHost {
    /// Also after a failed test: runs by their control groups, then namespaces by name.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for operation in self.qemu.carried_launches().await.unwrap() {
                        self.qemu.end_orphan(&operation).await.unwrap();
                    }
                });
            });
        });
        let cgroups = vmm::cgroup::unified_mount().unwrap().unwrap().join(&self.name);
        if cgroups.exists() {
            std::fs::remove_dir(cgroups).unwrap();
        }
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with(&format!("{}-", self.name)) {
                run(Command::new("ip").args(["netns", "del", &name]));
            }
        }
    }
}
