//! One launch: files made ready, jail started, API answered, a snapshot loaded where there is one.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

use camino::Utf8Path;
use engine::port::{Boot, GuestMemory, LaunchSpec};
use tokio::time::Instant;

use crate::cgroup::{IoLimits, Limits};
use crate::jail;
use crate::jail::spec::Task;
use crate::process::{LiveProcess, VmmHandle};

use super::adapter::Firecracker;
use super::api::{Api, ApiError, InstanceState, MemoryBackend, Request, SnapshotLoad};
use super::boot::{API_SOCKET, MEMORY, VMSTATE};
use super::error::FirecrackerError;
use super::installation::Installed;
use super::jail::{MAXIMUM_TASKS, jailer_spec};
use super::jail_root::JailRoot;
use super::run::Run;
use super::run_record::RunRecord;

/// Firecracker itself, its copy in the jail and its page tables, beside guest RAM. Of that the guest's disks may use what is left as cache.
const OVERHEAD_BYTES: u64 = 128 << 20;
/// Between two looks for a socket that nothing announces, growing to the second.
const FIRST_PAUSE: Duration = Duration::from_micros(250);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Launches, and answers who runs. On an error the caller ends the run's control group.
pub(super) async fn launch(
    firecracker: &Firecracker,
    spec: &LaunchSpec,
) -> Result<VmmHandle, FirecrackerError> {
    let run = firecracker.run(&spec.launch);
    let deadlines = &firecracker.config.deadlines;
    if run.cgroup().is_populated()? {
        return Err(FirecrackerError::Exists);
    }
    let installed = installed(firecracker, &spec.boot)?;
    run.cgroup().ensure()?;
    run.cgroup().limit(&limits(spec.shape.vcpus, spec.shape.memory_mib))?;
    run.cgroup().limit_io(&io_limits(firecracker, spec), &spec.launch.dir)?;
    make_ready(firecracker, &run, spec, installed)?;
    let jail = Task::Jailer(Box::new(jailer_spec(firecracker, &run, spec, installed)?));
    let spawned = jail::spawn(&firecracker.config.launcher, run.cgroup(), &jail, deadlines.jail);
    let handle = spawned.await?;
    match begin(&run, &handle, spec, firecracker).await {
        Ok(()) => Ok(handle),
        Err(error) => Err(explain(firecracker, &run, error).await),
    }
}

/// The default for what boots; for a snapshot the binary that wrote it.
fn installed<'a>(
    firecracker: &'a Firecracker,
    boot: &Boot,
) -> Result<&'a Installed, FirecrackerError> {
    match boot {
        Boot::Cold | Boot::Files => Ok(firecracker.installation.default()),
        Boot::Restore { vmm_sha256, .. } => {
            firecracker.installation.by_sha256(vmm_sha256).ok_or_else(|| {
                FirecrackerError::OtherVersion { sha256: vmm_sha256.as_str().to_owned() }
            })
        }
    }
}

/// Waits for the API, which answers once the guest is built, and loads what a restore begins with.
async fn begin(
    run: &Run,
    handle: &VmmHandle,
    spec: &LaunchSpec,
    firecracker: &Firecracker,
) -> Result<(), FirecrackerError> {
    let deadlines = &firecracker.config.deadlines;
    let process = LiveProcess::open(handle)?.ok_or(FirecrackerError::Gone)?;
    let root = run.jail_root()?;
    let boots = spec.boot.is_from_kernel();
    let is_up = || Ok(listens(&root)? && (!boots || has_vcpus(handle.pid)?));
    wait_until(is_up, &process, deadlines.request).await?;
    let api = Api::new(&root, API_SOCKET);
    let wanted = match &spec.boot {
        Boot::Cold | Boot::Files => InstanceState::Running,
        Boot::Restore { .. } => {
            let load = SnapshotLoad {
                snapshot_path: VMSTATE.into(),
                mem_backend: MemoryBackend {
                    backend_type: "File".to_owned(),
                    backend_path: MEMORY.into(),
                },
                // What is resident of a mapped file says nothing: so that a snapshot need not hold all of it.
                track_dirty_pages: true,
                resume_vm: false,
            };
            api.send(&Request::LoadSnapshot(load), deadlines.snapshot).await?;
            InstanceState::Paused
        }
    };
    let state = api.describe(deadlines.request).await?.state;
    if state == wanted {
        return Ok(());
    }
    Err(FirecrackerError::State { state: format!("{state:?}") })
}

fn listens(root: &JailRoot) -> io::Result<bool> {
    let socket = match root.socket(API_SOCKET) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        socket => socket?,
    };
    match std::os::unix::net::UnixStream::connect(socket.path()) {
        Ok(_connected) => Ok(true),
        // Bound, and not yet listening.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a process has threads of vCPUs, which Firecracker makes once all else of a boot has succeeded. Asked anything before, one
/// that cannot boot crashes before it has said why.
fn has_vcpus(pid: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = fs::read_to_string(thread?.path().join("comm"));
        if name.is_ok_and(|name| name.starts_with("fc_vcpu")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Firecracker tells nobody when it is up.
async fn wait_until(
    is_up: impl Fn() -> io::Result<bool>,
    process: &LiveProcess,
    deadline: Duration,
) -> Result<(), FirecrackerError> {
    let until = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        match is_up() {
            Ok(true) => return Ok(()),
            // It ends, and goes on to say so below.
            Ok(false) | Err(_) if process.wait_exit(pause).await? => {
                return Err(FirecrackerError::Gone);
            }
            Ok(false) => {}
            Err(error) => return Err(ApiError::Connect(error).into()),
        }
        if Instant::now() >= until {
            let request = "its first request".to_owned();
            return Err(ApiError::Silent { request, deadline }.into());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A Firecracker that cannot do what it was started for says why in its log, and ends.
async fn explain(
    firecracker: &Firecracker,
    run: &Run,
    error: FirecrackerError,
) -> FirecrackerError {
    match run.cgroup().wait_empty(firecracker.config.deadlines.observe).await {
        Ok(true) => {
            let said = match &error {
                FirecrackerError::Api(refused @ ApiError::Refused { .. }) => format!("{refused}; "),
                _ => String::new(),
            };
            let how = format!("{said}{}", run.end().reason);
            FirecrackerError::Ended { how, last_words: run.last_words() }
        }
        Ok(false) | Err(_) => error,
    }
}

/// What a run may use while no snapshot is taken.
pub(super) fn limits(vcpus: u32, memory_mib: u64) -> Limits {
    Limits {
        memory_bytes: (memory_mib << 20) + OVERHEAD_BYTES,
        // One more for what Firecracker does beside the vCPUs.
        cpu_percent: (vcpus + 1) * 100,
        tasks: MAXIMUM_TASKS,
    }
}

/// What its disks may do together. Firecracker keeps each to its own limit; this holds one whose guest took it over.
fn io_limits(firecracker: &Firecracker, spec: &LaunchSpec) -> IoLimits {
    let devices = firecracker.config.devices.tuned(&spec.tuning);
    let of_all = |one: u64| one.saturating_mul(spec.disks.len().max(1) as u64);
    IoLimits {
        bytes_per_second: devices.disk_bytes_per_second.map(of_all),
        operations_per_second: devices.disk_operations_per_second.map(of_all),
    }
}

/// Makes directories, forgets what an earlier run left, and writes down what this run is.
fn make_ready(
    firecracker: &Firecracker,
    run: &Run,
    spec: &LaunchSpec,
    installed: &Installed,
) -> Result<(), FirecrackerError> {
    for dir in [run.jail_dir(), run.logs_dir()] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|source| FirecrackerError::File { action: "make", path: dir, source })?;
    }
    remove(&run.base())?;
    let is_restored = matches!(spec.boot, Boot::Restore { .. });
    if let (GuestMemory::Own { path }, false) = (&spec.memory, is_restored) {
        remove(path)?;
    }
    let written_by = (installed.version.to_string(), installed.sha256.clone());
    let template = firecracker.config.devices.tuned(&spec.tuning).cpu_template;
    RunRecord::new(&spec.launch.operation, written_by, template, spec.shape, is_restored)
        .write(&run.record())
}

fn remove(path: &Utf8Path) -> Result<(), FirecrackerError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FirecrackerError::File { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
