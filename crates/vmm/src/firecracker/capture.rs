//! A snapshot of a paused guest: written into the jail within the pause, brought out of it after.
//!
//! ```text
//!  booted      what is resident (mincore), sparse and complete          ──▶ memory.bin
//!  restored    what was written since (dirty pages) ── merged onto ──▶ memory.base ──▶ memory.bin
//!              (memory.base begins as a clone of the memory it was restored from)
//! ```
//! Firecracker forgets which pages were dirty once it has written them. So they stay in the jail until they are merged: a snapshot that
//! fails, or a daemon that dies in between, loses nothing, and the next one is written onto them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use engine::port::Launch;

use crate::cgroup::Limits;
use crate::jail::jailer::JailerSpec;
use crate::memory_file;

use super::adapter::Firecracker;
use super::api::{Api, InstanceState, Request, SnapshotCreate};
use super::boot::{API_SOCKET, MEMORY};
use super::error::FirecrackerError;
use super::jail::VMSTATE_ROOM_BYTES;
use super::jail_root::JailRoot;
use super::launch::limits;
use super::run::Run;
use super::run_record::RunRecord;

/// Memory as Firecracker wrote it, inside [`JailerSpec::CAPTURE_DIR`].
const CAPTURED_MEMORY: &str = "memory";
/// Device state as Firecracker wrote it, there too.
const CAPTURED_VMSTATE: &str = "vmstate";

/// Writes memory into the jail and device state to the new file `into`. The guest stays paused, whatever happens.
pub(super) async fn capture(
    firecracker: &Firecracker,
    launch: &Launch,
    into: &Utf8Path,
) -> Result<(), FirecrackerError> {
    let run = firecracker.run(launch);
    let deadlines = &firecracker.config.deadlines;
    let record = RunRecord::read(&run.record(), &launch.operation)?;
    let root = run.jail_root()?;
    let api = Api::new(&root, API_SOCKET);
    let state = api.describe(deadlines.request).await?.state;
    if state != InstanceState::Paused {
        return Err(FirecrackerError::State { state: format!("{state:?}") });
    }
    if !record.is_restored {
        // Complete by itself: nothing of an earlier one may shine through.
        remove(&root, CAPTURED_MEMORY)?;
    }
    let usual = limits(record.shape.vcpus, record.shape.memory_mib);
    let room = (record.shape.memory_mib << 20) + VMSTATE_ROOM_BYTES;
    run.cgroup().limit(&Limits { memory_bytes: usual.memory_bytes + room, ..usual })?;
    let inside = |name: &str| format!("{}/{name}", JailerSpec::CAPTURE_DIR).into();
    let create = SnapshotCreate {
        snapshot_type: if is_swapping(&run)? && !record.is_restored { "Full" } else { "Diff" }
            .to_owned(),
        snapshot_path: inside(CAPTURED_VMSTATE),
        mem_file_path: inside(CAPTURED_MEMORY),
    };
    api.send(&Request::CreateSnapshot(create), deadlines.snapshot).await?;
    bring_vmstate_out(&root, into)
}

/// Pages that are swapped out are not resident, and a snapshot of what is resident would lack them.
fn is_swapping(run: &Run) -> Result<bool, FirecrackerError> {
    let failed = |path: &str| {
        let path = path.into();
        |source| FirecrackerError::File { action: "read", path, source }
    };
    let swaps = fs::read_to_string("/proc/swaps").map_err(failed("/proc/swaps"))?;
    if swaps.lines().count() <= 1 {
        return Ok(false);
    }
    let current = run.cgroup().path().join("memory.swap.current");
    match fs::read_to_string(&current) {
        Ok(bytes) => Ok(bytes.trim() != "0"),
        // No controller: nobody knows.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed(current.as_str())(error)),
    }
}

/// Some tens of KiB, copied at once: device state is sealed as a file that Firecracker never held.
fn bring_vmstate_out(root: &JailRoot, into: &Utf8Path) -> Result<(), FirecrackerError> {
    let copied = || -> io::Result<()> {
        let mut from = open_captured(root, CAPTURED_VMSTATE)?;
        if from.metadata()?.len() > VMSTATE_ROOM_BYTES {
            return Err(io::Error::other("it is too long"));
        }
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into)?;
        io::copy(&mut from, &mut to).map(drop)
    };
    copied().map_err(file_error("write device state to", into))?;
    remove(root, CAPTURED_VMSTATE)
}

/// Brings what [`capture`] wrote of memory to the new file `into`. Blocking, for as long as its bytes take; the guest may run.
pub(super) fn collect(run: &Run, launch: &Launch, into: &Utf8Path) -> Result<(), FirecrackerError> {
    let record = RunRecord::read(&run.record(), &launch.operation)?;
    let root = run.jail_root()?;
    if record.is_restored {
        let base = merge_into_base(run, &root)?;
        memory_file::clone_new(&base, into).map_err(file_error("write guest memory to", into))?;
    } else {
        let copied = open_captured(&root, CAPTURED_MEMORY)
            .and_then(|captured| memory_file::clone_new(&captured, into));
        copied.map_err(file_error("write guest memory to", into))?;
        remove(&root, CAPTURED_MEMORY)?;
    }
    let usual = limits(record.shape.vcpus, record.shape.memory_mib);
    run.cgroup().limit(&usual)?;
    Ok(())
}

/// What a capture wrote goes to the base, and only then leaves the jail. A capture that was collected leaves none.
fn merge_into_base(run: &Run, root: &JailRoot) -> Result<File, FirecrackerError> {
    let path = run.base();
    let base = open_base(&path, root).map_err(file_error("open guest memory", &path))?;
    match open_captured(root, CAPTURED_MEMORY) {
        Ok(captured) => {
            memory_file::merge(&captured, &base)
                .map_err(file_error("merge guest memory into", &path))?;
            remove(root, CAPTURED_MEMORY)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file_error("read what was captured for", &path)(error)),
    }
    Ok(base)
}

/// The base, begun when it is absent. A base that was begun and not finished has another name.
fn open_base(path: &Utf8Path, root: &JailRoot) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let beginning = path.with_extension("new");
    match fs::remove_file(&beginning) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let base = memory_file::clone_new(&root.open(MEMORY)?, &beginning)?;
    fs::rename(&beginning, path)?;
    Ok(base)
}

/// Forgets what a capture left that nobody will collect. Blocking. Nothing to do when nothing of the run lives.
pub(super) fn discard(run: &Run, launch: &Launch) -> Result<(), FirecrackerError> {
    let root = match run.jail_root() {
        Err(FirecrackerError::Gone) => return Ok(()),
        root => root?,
    };
    let record = RunRecord::read(&run.record(), &launch.operation)?;
    remove(&root, CAPTURED_VMSTATE)?;
    if !record.is_restored {
        remove(&root, CAPTURED_MEMORY)?;
        run.cgroup().limit(&limits(record.shape.vcpus, record.shape.memory_mib))?;
    }
    Ok(())
}

fn open_captured(root: &JailRoot, name: &str) -> io::Result<File> {
    root.open(&format!("{}/{name}", JailerSpec::CAPTURE_DIR))
}

fn remove(root: &JailRoot, name: &str) -> Result<(), FirecrackerError> {
    let removed = root.remove(JailerSpec::CAPTURE_DIR, name);
    removed.map_err(file_error("remove from the jail", Utf8Path::new(name)))
}

fn file_error(
    action: &'static str,
    path: &Utf8Path,
) -> impl Fn(io::Error) -> FirecrackerError + use<> {
    let path = path.to_owned();
    move |source| FirecrackerError::File { action, path: path.clone(), source }
}
