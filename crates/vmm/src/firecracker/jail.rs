//! What is laid out in the jail of a launch.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use engine::port::{Boot, GuestMemory, LaunchSpec};

use crate::jail::jailer::{JailerSpec, Text};
use crate::jail::spec::{self, Access, BoundFile, ProcessLimits};

use super::adapter::Firecracker;
use super::boot::{
    API_SOCKET, BootConfig, CONFIG, INITRD, KERNEL, MEMORY, TAP, VMSTATE, disk_name,
};
use super::error::FirecrackerError;
use super::installation::Installed;
use super::run::Run;

/// Firecracker's own threads beside the vCPUs, and those of io_uring, with room to spare.
pub(super) const MAXIMUM_TASKS: u32 = 128;
/// Firecracker holds some forty.
const MAXIMUM_OPEN_FILES: u64 = 1024;
/// Sockets, the configuration file and the jailer's directories, beside the copy of the program.
const JAIL_ROOM_BYTES: u64 = 1 << 20;
/// Device state, beside memory; the usual is 40 KiB.
pub(super) const VMSTATE_ROOM_BYTES: u64 = 16 << 20;
/// The least bound of any file's size: the jailer copies the program.
const LEAST_FILE_BYTES: u64 = 64 << 20;

/// The jail of this launch.
pub(super) fn jailer_spec(
    firecracker: &Firecracker,
    run: &Run,
    spec: &LaunchSpec,
    installed: &Installed,
) -> Result<JailerSpec, FirecrackerError> {
    let files = files(spec);
    let program = installed.firecracker();
    let program_bytes = length(&program)?;
    let texts = texts(firecracker, spec)?;
    let memory_bytes = spec.shape.memory_mib << 20;
    Ok(JailerSpec {
        version: spec::VERSION,
        owner: spec.slot.uid,
        id: spec.launch.machine.as_str().to_owned(),
        network_namespace: firecracker.config.network_namespaces.join(&spec.slot.namespace),
        tap: TAP.to_owned(),
        directory: run.jail_dir(),
        room_bytes: program_bytes + JAIL_ROOM_BYTES,
        capture_bytes: memory_bytes + VMSTATE_ROOM_BYTES,
        jailer: installed.jailer(),
        program,
        arguments: arguments(&spec.boot),
        limits: ProcessLimits {
            open_files: MAXIMUM_OPEN_FILES,
            tasks: u64::from(MAXIMUM_TASKS),
            file_size_bytes: largest(&files)?.max(memory_bytes).max(LEAST_FILE_BYTES),
        },
        logs: run.logs(),
        files,
        texts,
    })
}

fn arguments(boot: &Boot) -> Vec<String> {
    let mut arguments = vec!["--api-sock", API_SOCKET];
    arguments.extend(["--log-path", JailerSpec::LOG_PIPE, "--level", "Warning"]);
    if boot.is_from_kernel() {
        arguments.extend(["--config-file", CONFIG]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}

fn texts(firecracker: &Firecracker, spec: &LaunchSpec) -> Result<Vec<Text>, FirecrackerError> {
    if !spec.boot.is_from_kernel() {
        return Ok(Vec::new());
    }
    let usual = &firecracker.config.kernel_arguments;
    let kernel_arguments = match spec.boot {
        Boot::Files => format!("{usual} {}", Boot::FILES_ARGUMENT),
        Boot::Cold | Boot::Restore { .. } => usual.clone(),
    };
    let devices = firecracker.config.devices.tuned(&spec.tuning);
    let config = BootConfig {
        vcpus: spec.shape.vcpus,
        memory_mib: spec.shape.memory_mib,
        disks: spec.disks.len(),
        has_initrd: spec.initrd.is_some(),
        kernel_arguments: &kernel_arguments,
        devices: &devices,
    };
    let text = config.to_json().map_err(|error| FirecrackerError::File {
        action: "write",
        path: CONFIG.into(),
        source: error.into(),
    })?;
    Ok(vec![Text { name: CONFIG.to_owned(), text }])
}

fn files(spec: &LaunchSpec) -> Vec<BoundFile> {
    let file = |source: &Utf8PathBuf, name: &str, access| BoundFile {
        source: source.clone(),
        name: name.to_owned(),
        access,
    };
    let mut files = Vec::new();
    match &spec.boot {
        Boot::Cold | Boot::Files => {
            files.push(file(&spec.kernel, KERNEL, Access::Read));
            files.extend(spec.initrd.iter().map(|initrd| file(initrd, INITRD, Access::Read)));
        }
        Boot::Restore { vmstate, .. } => {
            let (GuestMemory::Own { path } | GuestMemory::Sealed { path }) = &spec.memory;
            files.push(file(vmstate, VMSTATE, Access::Read));
            files.push(file(path, MEMORY, Access::Read));
        }
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
fn largest(files: &[BoundFile]) -> Result<u64, FirecrackerError> {
    files
        .iter()
        .filter(|file| file.access == Access::Write)
        .try_fold(0, |largest, file| Ok(length(&file.source)?.max(largest)))
}

fn length(path: &Utf8Path) -> Result<u64, FirecrackerError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(source) => {
            Err(FirecrackerError::File { action: "look at", path: path.to_owned(), source })
        }
    }
}
