//! A host for tests: real Firecrackers, a guest that polls, namespaces and control groups named `cvf...`, and everything gone afterwards.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{MachineId, OperationId};
use engine::port::{Boot, Disk, GuestMemory, Launch, LaunchSpec, OriginOf, Vmm};
use engine::record::{Shape, Slot, Tuning, VmmKind};
use tempfile::TempDir;
use vmm::conformance::Fixture;
use vmm::firecracker::{
    Binaries, Deadlines, Devices, Firecracker, FirecrackerConfig, Installed,
    default_kernel_arguments,
};
use vmm::jail::{Launcher, ring};

/// Guest RAM of the polled guest.
pub(crate) const MEMORY_MIB: u64 = 128;
/// Where it keeps its counter.
const COUNTER_ADDRESS: u64 = 0x20_0000;
/// Where test uids begin.
const FIRST_UID: u32 = 3_400_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// An adapter with a directory, a control group and namespaces of its own.
pub(crate) struct TestHost {
    pub(crate) firecracker: Firecracker,
    dir: TempDir,
    name: String,
    kernel: Utf8PathBuf,
    next: AtomicU32,
}

/// A host whose default is another version.
pub(crate) struct Variant {
    pub(crate) installed: Installed,
    pub(crate) host: TestHost,
}

/// The binaries under test, if they can be run here; else why not.
pub(crate) fn binaries() -> Result<Binaries, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    for path in [kvm().as_str(), "/dev/net/tun", "/usr/bin/gcc"] {
        if !Utf8Path::new(path).exists() {
            return Err(format!("no {path}"));
        }
    }
    if !matches!(vmm::cgroup::unified_mount(), Ok(Some(_))) {
        return Err("no cgroup version 2".to_owned());
    }
    Ok(Binaries {
        firecracker: find("COMPUTER_FIRECRACKER", "firecracker")?,
        jailer: find("COMPUTER_JAILER", "jailer")?,
    })
}

/// What guests run by. The simulator of the harness needs nothing of the kind.
fn kvm() -> Utf8PathBuf {
    std::env::var("COMPUTER_FIRECRACKER_KVM").map_or_else(|_| "/dev/kvm".into(), Utf8PathBuf::from)
}

/// Says why nothing is tried; fails where somebody wants it tried.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("COMPUTER_FIRECRACKER_REQUIRED").is_none(), "not tried: {reason}");
    eprintln!("skipped: {reason}");
}

fn find(variable: &str, name: &str) -> Result<Utf8PathBuf, String> {
    if let Ok(path) = std::env::var(variable) {
        return Ok(path.into());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').map(|dir| Utf8Path::new(dir).join(name)).find(|at| at.is_file());
    found.ok_or_else(|| format!("{variable} is not set, and no {name} is on PATH"))
}

/// The configuration of a daemon with this root and control group.
pub(crate) fn config(root: &Utf8Path, cgroup: &str, default: Binaries) -> FirecrackerConfig {
    FirecrackerConfig {
        default,
        versions: std::env::var("COMPUTER_FIRECRACKER_VERSIONS")
            .ok()
            .filter(|directory| !directory.is_empty())
            .map(Utf8PathBuf::from),
        kvm: kvm(),
        runtimes: root.join("runtimes"),
        launcher: Launcher {
            program: env!("CARGO_BIN_EXE_vmm-launcher").into(),
            arguments: Vec::new(),
        },
        cgroup: cgroup.to_owned(),
        network_namespaces: "/run/netns".into(),
        kernel_arguments: default_kernel_arguments(),
        devices: Devices::default(),
        deadlines: Deadlines::default(),
    }
}

impl TestHost {
    /// A host, or `None` with the printed reason. `name` tells the hosts of one test program apart.
    pub(crate) async fn open(name: &str) -> Option<Self> {
        Self::open_with(name, |_config| {}).await
    }

    /// A host that is configured otherwise than usual.
    pub(crate) async fn open_with(
        name: &str,
        otherwise: impl FnOnce(&mut FirecrackerConfig),
    ) -> Option<Self> {
        match binaries() {
            Ok(binaries) => Some(Self::with(name, binaries, otherwise).await),
            Err(reason) => {
                skip(&reason);
                None
            }
        }
    }

    /// A host whose Firecracker is the simulator of the harness, or `None` with the printed reason.
    pub(crate) async fn open_simulated(name: &str) -> Option<Self> {
        let host = Self::open(name).await?;
        let program = host.firecracker.installation().default().firecracker();
        let said = Command::new(program).arg("--version").output().unwrap().stdout;
        if said.ends_with(b"simulated\n") {
            return Some(host);
        }
        eprintln!(
            "skipped: this Firecracker is no simulator, and no Linux guest with an agent boots here"
        );
        None
    }

    async fn with(
        name: &str,
        binaries: Binaries,
        otherwise: impl FnOnce(&mut FirecrackerConfig),
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("cvf").tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().to_owned();
        let kernel = root.join("polled.elf");
        let build = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/polled/build.sh");
        run(Command::new("sh").arg(build).arg(&kernel));
        std::fs::create_dir(root.join("runtimes")).unwrap();
        let name = format!("cvf{}{name}", std::process::id());
        let mut config = config(&root, &name, binaries);
        otherwise(&mut config);
        let firecracker = Firecracker::open(config).await.unwrap();
        Self { firecracker, dir, name, kernel, next: AtomicU32::new(1) }
    }

    /// Two hosts: one that has several versions, and one whose default is another than the first one's; or `None` with the printed reason.
    pub(crate) async fn open_two(name: &str) -> Option<(Self, Variant)> {
        let host = Self::open(name).await?;
        let default = host.firecracker.installation().default();
        let others = host.firecracker.installation().versions();
        let Some(other) = others.iter().find(|other| other.sha256 != default.sha256) else {
            eprintln!(
                "skipped: COMPUTER_FIRECRACKER_VERSIONS names no directory with another version"
            );
            return None;
        };
        let binaries = Binaries { firecracker: other.firecracker(), jailer: other.jailer() };
        let variant = Variant {
            installed: other.clone(),
            host: Self::with(&format!("{name}o"), binaries, |_config| {}).await,
        };
        Some((host, variant))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    /// A machine's directory, slot and namespace, without its files.
    fn new_machine(&self) -> LaunchSpec {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.root().join(format!("machine-{index}"));
        std::fs::create_dir(&dir).unwrap();
        let slot = Slot {
            index,
            namespace: format!("{}-{index}", self.name),
            host_interface: format!("cvf-{index}"),
            host_address: Ipv4Addr::LOCALHOST,
            runtime_address: Ipv4Addr::LOCALHOST,
            uid: FIRST_UID + index,
        };
        let (namespace, uid) = (slot.namespace.clone(), slot.uid.to_string());
        run(Command::new("ip").args(["netns", "add", &namespace]));
        run(Command::new("ip")
            .args(["-n", &namespace, "tuntap", "add", "tap0", "mode", "tap", "user", &uid]));
        LaunchSpec {
            launch: Launch {
                machine: format!("cvf-{index}").parse::<MachineId>().unwrap(),
                operation: operation(index),
                vmm: VmmKind::Firecracker,
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

    /// Another machine to be restored from the snapshot of `first`, whose memory it maps too.
    pub(crate) async fn sibling(&self, first: &LaunchSpec, source: &LaunchSpec) -> LaunchSpec {
        let mut spec = self.new_machine();
        let dir = &spec.launch.dir;
        for (from, name) in [(source, "system.img"), (first, "vmstate.bin")] {
            let to = dir.join(name);
            run(Command::new("cp").arg("--sparse=always").arg(from.launch.dir.join(name)).arg(&to));
            give(&to, spec.slot.uid);
        }
        let Boot::Restore { tsc_khz, vmm_sha256, .. } = first.boot.clone() else {
            panic!("the first one is a restore")
        };
        spec.boot = Boot::Restore { vmstate: dir.join("vmstate.bin"), tsc_khz, vmm_sha256 };
        let memory = first.launch.dir.join("memory");
        std::fs::set_permissions(&memory, std::os::unix::fs::PermissionsExt::from_mode(0o444))
            .unwrap();
        spec.memory = GuestMemory::Sealed { path: memory };
        spec
    }

    /// The serial console so far.
    pub(crate) fn console(&self, launch: &Launch) -> String {
        let tail =
            ring::read_tail(&self.firecracker.run(launch).logs().console, usize::MAX).unwrap();
        String::from_utf8_lossy(&tail).into_owned()
    }

    /// A machine that has counted to five.
    pub(crate) async fn running(&self) -> LaunchSpec {
        let spec = self.cold().await;
        self.launch(&spec).await;
        self.wait_for_tick(&spec, 5).await;
        spec
    }

    pub(crate) async fn launch(&self, spec: &LaunchSpec) -> engine::port::VmmHandle {
        match self.firecracker.launch(spec).await {
            Ok(handle) => handle,
            Err(error) => panic!("{}", error.chain()),
        }
    }

    /// Launches a restore and lets it run.
    pub(crate) async fn launch_and_resume(&self, spec: &LaunchSpec) {
        self.launch(spec).await;
        self.firecracker.resume(&spec.launch).await.unwrap();
    }

    pub(crate) async fn wait_for_tick(&self, spec: &LaunchSpec, wanted: u64) {
        let until = Instant::now() + PATIENCE;
        while self.counted(&spec.launch).await < wanted {
            let console = self.console(&spec.launch);
            assert!(Instant::now() < until, "no tick {wanted}: {console}");
            tokio::task::yield_now().await;
        }
    }

    /// The first whole line of a restored guest's console; what stands before it belongs to the tick of the snapshot.
    pub(crate) async fn first_tick(&self, spec: &LaunchSpec) -> u64 {
        let until = Instant::now() + PATIENCE;
        loop {
            let console = self.console(&spec.launch);
            assert!(console.len() < 60_000, "the ring went round before it was read");
            if let Some(first) = ticks(&console).first() {
                return *first;
            }
            assert!(Instant::now() < until, "no tick: {console}");
            tokio::task::yield_now().await;
        }
    }
}

/// The counter in a memory file.
pub(crate) fn counter_in(memory: &Utf8Path) -> u64 {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 8];
    std::fs::File::open(memory).unwrap().read_exact_at(&mut bytes, COUNTER_ADDRESS).unwrap();
    u64::from_le_bytes(bytes)
}

/// The values of all whole `TICK` lines of a console.
pub(crate) fn ticks(console: &str) -> Vec<u64> {
    assert!(!console.contains("TORN"), "memory and disk are of different instants: {console}");
    let whole = console.rfind('\n').map_or("", |end| &console[..end]);
    whole
        .lines()
        .filter_map(|line| line.strip_prefix("TICK n=")?.split_once(" disk=")?.0.parse().ok())
        .collect()
}

/// A file that the machine's uid owns.
fn give(path: &Utf8Path, uid: u32) {
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
        let memory = spec.launch.dir.join("memory");
        if let Err(error) = self.firecracker.collect_memory(&source.launch, &memory).await {
            panic!("{}", error.chain());
        }
        let of = OriginOf::Run(&source.launch);
        let origin = self.firecracker.origin(&source.shape, of).await.unwrap();
        spec.boot = Boot::Restore {
            vmstate: spec.launch.dir.join("vmstate.bin"),
            tsc_khz: origin.tsc_khz,
            vmm_sha256: origin.vmm_sha256,
        };
        let disk = source.launch.dir.join("system.img");
        for (from, name) in [(disk.as_path(), "system.img"), (vmstate, "vmstate.bin")] {
            run(Command::new("cp")
                .arg("--sparse=always")
                .arg(from)
                .arg(spec.launch.dir.join(name)));
        }
        for name in ["memory", "system.img", "vmstate.bin"] {
            give(&spec.launch.dir.join(name), spec.slot.uid);
        }
        spec
    }

    async fn counted(&self, launch: &Launch) -> u64 {
        ticks(&self.console(launch)).last().copied().unwrap_or(0)
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
                    for operation in self.firecracker.carried_launches().await.unwrap() {
                        self.firecracker.end_orphan(&operation).await.unwrap();
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
