//! One launch: files made ready, jail started, monitor answered, device state loaded where there is some.

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use camino::Utf8Path;
use engine::port::{Boot, GuestMemory, Launch, LaunchSpec};

use crate::cgroup::Limits;
use crate::jail::runtime::{self, LIBRARY_DIR, MODULE_DIR};
use crate::jail::spec::{
    self, Access, BoundFile, Device, JailSpec, Listener, ProcessLimits, Program, SharedMemory, Tap,
    Task,
};
use crate::jail::{self};
use crate::process::VmmHandle;

use super::adapter::Qemu;
use super::command_line::{
    AGENT_DESCRIPTOR, Accelerator, CommandLine, INITRD_NAME, KERNEL_NAME, MAXIMUM_USER_DISKS,
    MEMORY_DESCRIPTOR, MEMORY_NAME, MONITOR_DESCRIPTOR, MemoryMapping, Start, TAP_DESCRIPTOR,
    disk_name,
};
use super::device_state;
use super::error::QemuError;
use super::qmp::Monitor;
use super::run::Run;
use super::shared_memory::View;

/// The tap's name in every namespace.
const TAP_NAME: &str = "tap0";
/// QEMU itself: code, tables, translated code, buffers. Beside guest RAM.
const OVERHEAD_BYTES: u64 = 640 * 1024 * 1024;
/// QEMU's input and output threads, with room to spare.
const MAXIMUM_TASKS: u32 = 256;
/// QEMU holds some thirty.
const MAXIMUM_OPEN_FILES: u64 = 512;

/// Launches, and answers who runs. On an error the caller ends the run's control group.
pub(super) async fn launch(qemu: &Qemu, spec: &LaunchSpec) -> Result<VmmHandle, QemuError> {
    let run = qemu.run(&spec.launch);
    let deadlines = &qemu.config.deadlines;
    if spec.disks.len() > MAXIMUM_USER_DISKS + 1 {
        return Err(QemuError::Disks { disks: spec.disks.len(), maximum: MAXIMUM_USER_DISKS });
    }
    if run.cgroup().is_populated()? {
        return Err(QemuError::Exists);
    }
    run.cgroup().ensure()?;
    run.cgroup().limit(&limits(spec))?;
    make_directories(&run)?;
    // Held until the jail has opened it.
    let shared = match &spec.memory {
        GuestMemory::Own { path } => own_memory(path, spec).map(|()| None)?,
        GuestMemory::Sealed { path } => Some(shared_memory(qemu, path, spec).await?),
    };
    let jail = Task::Jail(Box::new(jail_spec(qemu, &run, spec, shared.as_ref())?));
    let handle = jail::spawn(&qemu.config.launcher, run.cgroup(), &jail, deadlines.jail).await?;
    match begin(&run, spec, qemu).await {
        Ok(()) => Ok(handle),
        Err(error) => Err(explain(qemu, &run, error).await),
    }
}

/// Waits for the monitor, which answers once the machine is built, and loads what a restore begins with.
async fn begin(run: &Run, spec: &LaunchSpec, qemu: &Qemu) -> Result<(), QemuError> {
    let deadlines = &qemu.config.deadlines;
    let mut monitor = Monitor::connect(&run.monitor_socket(), deadlines.monitor).await?;
    match &spec.boot {
        Boot::Cold | Boot::Files => Ok(()),
        Boot::Restore { vmstate, .. } => device_state::load(&mut monitor, vmstate, deadlines).await,
    }
}

/// A broken monitor mostly means that QEMU has ended, and QEMU said why on its standard error.
async fn explain(qemu: &Qemu, run: &Run, error: QemuError) -> QemuError {
    match run.cgroup().wait_empty(qemu.config.deadlines.observe).await {
        Ok(true) => {
            let how = run.end(qemu.installation.tells_power_off).reason;
            QemuError::Ended { how, last_words: run.last_words() }
        }
        Ok(false) | Err(_) => error,
    }
}

fn limits(spec: &LaunchSpec) -> Limits {
    Limits {
        memory_bytes: spec.shape.memory_mib * 1024 * 1024 + OVERHEAD_BYTES,
        // One more for what QEMU does beside the vCPUs.
        cpu_percent: (spec.shape.vcpus + 1) * 100,
        tasks: MAXIMUM_TASKS,
    }
}

fn make_directories(run: &Run) -> Result<(), QemuError> {
    for dir in [run.jail_dir(), run.logs_dir()] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|source| QemuError::File { action: "make", path: dir, source })?;
    }
    Ok(())
}

/// For a cold start, an empty memory file: what an earlier run left in it concerns nobody.
fn own_memory(path: &Utf8Path, spec: &LaunchSpec) -> Result<(), QemuError> {
    if !spec.boot.is_from_kernel() {
        return Ok(());
    }
    let failed =
        |source| QemuError::File { action: "make guest memory", path: path.to_owned(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.set_len(spec.shape.memory_mib * 1024 * 1024).map_err(failed)?;
    std::os::unix::fs::fchown(&file, Some(spec.slot.uid), Some(spec.slot.uid)).map_err(failed)
}

/// The memory that this run shares with others of the same snapshot.
async fn shared_memory(qemu: &Qemu, path: &Utf8Path, spec: &LaunchSpec) -> Result<View, QemuError> {
    let failed =
        |source| QemuError::File { action: "share guest memory", path: path.to_owned(), source };
    if spec.boot.is_from_kernel() {
        return Err(failed(std::io::Error::other("a machine that boots has memory of its own")));
    }
    qemu.shared_memory.take(path, &spec.launch.operation).await.map_err(failed)
}

fn jail_spec(
    qemu: &Qemu,
    run: &Run,
    spec: &LaunchSpec,
    shared: Option<&View>,
) -> Result<JailSpec, QemuError> {
    let files = files(spec);
    let runtime = &qemu.installation.runtime;
    Ok(JailSpec {
        version: spec::VERSION,
        owner: spec.slot.uid,
        host_name: spec.launch.machine.as_str().to_owned(),
        network_namespace: Some(qemu.config.network_namespaces.join(&spec.slot.namespace)),
        tap: Some(Tap { name: TAP_NAME.to_owned(), descriptor: TAP_DESCRIPTOR }),
        directory: run.jail_dir(),
        shared_memory: shared
            .map(|view| SharedMemory { source: view.path(), descriptor: MEMORY_DESCRIPTOR }),
        listeners: vec![
            Listener { name: "qmp.sock".to_owned(), descriptor: MONITOR_DESCRIPTOR },
            Listener { name: "agent.sock".to_owned(), descriptor: AGENT_DESCRIPTOR },
        ],
        runtime: runtime.directory.clone(),
        interpreter: runtime.interpreter.clone(),
        devices: match qemu.accelerator {
            Accelerator::Tcg => vec![Device::Null],
            Accelerator::Kvm => vec![Device::Null, Device::Kvm],
        },
        program: Program {
            path: runtime.program_inside(),
            arguments: command_line(qemu, spec).arguments(),
            environment: vec![
                ("LD_LIBRARY_PATH".to_owned(), runtime::inside(LIBRARY_DIR).into_string()),
                ("QEMU_MODULE_DIR".to_owned(), runtime::inside(MODULE_DIR).into_string()),
            ],
        },
        limits: ProcessLimits {
            open_files: MAXIMUM_OPEN_FILES,
            tasks: u64::from(MAXIMUM_TASKS),
            file_size_bytes: largest(&files)?,
        },
        logs: run.logs(),
        files,
    })
}

fn command_line(qemu: &Qemu, spec: &LaunchSpec) -> CommandLine {
    CommandLine {
        accelerator: qemu.accelerator,
        vcpus: spec.shape.vcpus,
        memory_mib: spec.shape.memory_mib,
        mapping: match spec.memory {
            GuestMemory::Own { .. } => MemoryMapping::Shared,
            GuestMemory::Sealed { .. } => MemoryMapping::Private,
        },
        disks: spec.disks.len(),
        has_tap: true,
        run_mark: run_mark(&spec.launch),
        start: match spec.boot {
            Boot::Cold => kernel(qemu, spec, &qemu.config.kernel_arguments),
            Boot::Files => {
                let arguments =
                    format!("{} {}", qemu.config.kernel_arguments, Boot::FILES_ARGUMENT);
                kernel(qemu, spec, &arguments)
            }
            Boot::Restore { .. } => Start::Incoming,
        },
    }
}

fn kernel(qemu: &Qemu, spec: &LaunchSpec, further: &str) -> Start {
    Start::Kernel {
        has_initrd: spec.initrd.is_some(),
        arguments: kernel_arguments(qemu.facts.tsc_khz, further),
    }
}

/// As much of the operation's id as a disk's serial number holds: its end, which is random.
fn run_mark(launch: &Launch) -> String {
    const SERIAL_BYTES: usize = 20;
    let id = launch.operation.as_str();
    id[id.len().saturating_sub(SERIAL_BYTES)..].to_owned()
}

/// Without the counter's rate boots hang at random under load. It is to be trusted, too: a busy host delays the ticks that Linux checks it
/// by, and a guest that then keeps time by counting ticks falls seconds behind.
fn kernel_arguments(tsc_khz: u64, further: &str) -> String {
    format!("console=ttyS0 tsc_early_khz={tsc_khz} tsc=reliable {further}")
}

fn files(spec: &LaunchSpec) -> Vec<BoundFile> {
    let file = |source: &Utf8Path, name: &str, access| BoundFile {
        source: source.to_owned(),
        name: name.to_owned(),
        access,
    };
    let mut files = match &spec.memory {
        GuestMemory::Own { path } => vec![file(path, MEMORY_NAME, Access::Write)],
        GuestMemory::Sealed { .. } => vec![],
    };
    if spec.boot.is_from_kernel() {
        files.push(file(&spec.kernel, KERNEL_NAME, Access::Read));
        files.extend(spec.initrd.iter().map(|initrd| file(initrd, INITRD_NAME, Access::Read)));
    }
    files.extend(
        spec.disks
            .iter()
            .enumerate()
            .map(|(index, disk)| file(&disk.path, &disk_name(index), Access::Write)),
    );
    files
}

/// Nothing inside may make a file grow beyond the largest that it was given.
fn largest(files: &[BoundFile]) -> Result<u64, QemuError> {
    let mut largest = 0;
    for file in files.iter().filter(|file| file.access == Access::Write) {
        let metadata = fs::symlink_metadata(Path::new(&file.source));
        let failed =
            |source| QemuError::File { action: "look at", path: file.source.clone(), source };
        largest = largest.max(metadata.map_err(failed)?.len());
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_always_told_the_rate_of_the_counter_and_to_trust_it() {
        assert_eq!(
            kernel_arguments(2_600_000, "quiet"),
            "console=ttyS0 tsc_early_khz=2600000 tsc=reliable quiet"
        );
    }
}
