//! Snapshots: device state with a checksum over it, and memory, both synced before the answer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::answer::with;
use super::configuration::Configuration;
use super::machine::{Inner, Machine, RunState};
use super::memory::{Extent, Memory};

/// The body of `PUT /snapshot/create`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    #[serde(default)]
    snapshot_type: SnapshotType,
    snapshot_path: Utf8PathBuf,
    mem_file_path: Utf8PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum SnapshotType {
    #[default]
    Full,
    Diff,
}

/// The body of `PUT /snapshot/load`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    snapshot_path: Utf8PathBuf,
    mem_backend: Backend,
    #[serde(default)]
    track_dirty_pages: bool,
    #[serde(default)]
    resume_vm: bool,
    #[serde(default)]
    network_overrides: Vec<NetworkOverride>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backend {
    backend_type: String,
    backend_path: Utf8PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkOverride {
    iface_id: String,
    host_dev_name: String,
}

/// What device state holds. A snapshot is tied to the version that wrote it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceState {
    version: String,
    configuration: Configuration,
}

/// Writes a snapshot of a guest that stands still.
pub(super) fn create(inner: &mut Inner, create: &Create) -> Result<(), String> {
    if inner.state != RunState::Paused {
        return Err("Create snapshot error: the microVM is not paused".to_owned());
    }
    if let Some(vsock) = &inner.vsock {
        vsock.reset();
    }
    let extent = match create.snapshot_type {
        SnapshotType::Full => Extent::Full,
        SnapshotType::Diff => Extent::Diff,
    };
    write_memory(&mut inner.guest.memory, extent, &create.mem_file_path)
        .map_err(with(format!("Create snapshot error: memory file {}", create.mem_file_path)))?;
    let configuration = inner.configuration.clone();
    let state = DeviceState { version: super::VERSION.to_owned(), configuration };
    write_state(&state, &create.snapshot_path)
        .map_err(with(format!("Create snapshot error: {}", create.snapshot_path)))
}

/// A diff goes onto a file of the right size that is there; everything else is written anew.
fn write_memory(memory: &mut Memory, extent: Extent, path: &Utf8Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    if extent == Extent::Full || file.metadata()?.len() != memory.size_bytes() {
        file.set_len(0)?;
        file.set_len(memory.size_bytes())?;
    }
    memory.write_out(extent, &file)?;
    file.sync_all()
}

fn write_state(state: &DeviceState, path: &Utf8Path) -> io::Result<()> {
    let text = serde_json::to_vec(state)?;
    let mut file = File::create(path)?;
    file.write_all(checksum(&text).as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(&text)?;
    file.sync_all()
}

fn read_state(path: &Utf8Path) -> Result<DeviceState, String> {
    let content = fs::read(path).map_err(with(format!("Failed to open the snapshot {path}")))?;
    let mut parts = content.splitn(2, |byte| *byte == b'\n');
    let (sum, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if sum != checksum(text).as_bytes() {
        return Err("Failed to get snapshot state: the checksum is wrong".to_owned());
    }
    let state: DeviceState = serde_json::from_slice(text)
        .map_err(|error| format!("Failed to get snapshot state: {error}"))?;
    if state.version != super::VERSION {
        return Err(format!("Invalid snapshot version: {}", state.version));
    }
    Ok(state)
}

fn checksum(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a machine of a snapshot.
pub(super) fn load(load: &Load) -> Result<Machine, String> {
    let mut state = read_state(&load.snapshot_path)?;
    if load.mem_backend.backend_type != "File" {
        return Err(format!("no memory backend {} here", load.mem_backend.backend_type));
    }
    for wanted in &load.network_overrides {
        let mut interfaces = state.configuration.network_interfaces.iter_mut();
        let interface = interfaces
            .find(|interface| interface.iface_id == wanted.iface_id)
            .ok_or_else(|| format!("Unknown Network Device {}", wanted.iface_id))?;
        interface.host_dev_name.clone_from(&wanted.host_dev_name);
    }
    let path = &load.mem_backend.backend_path;
    let size_bytes = state.configuration.machine_config.mem_size_mib << 20;
    let memory = File::open(path)
        .and_then(|file| Memory::over(file, size_bytes, load.track_dirty_pages))
        .map_err(with(format!("Failed to load guest memory {path}")))?;
    let machine = Machine::restore(state.configuration, memory)?;
    if load.resume_vm {
        machine.set(RunState::Running).map_err(with("the guest cannot be resumed"))?;
    }
    Ok(machine)
}
