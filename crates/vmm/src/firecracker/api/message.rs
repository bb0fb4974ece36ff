//! Bodies of requests and answers, and the sections of a configuration file, which are the same.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// The kernel and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSource {
    /// The kernel.
    pub kernel_image_path: Utf8PathBuf,
    /// The initial RAM disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrd_path: Option<Utf8PathBuf>,
    /// The kernel's command line; Firecracker adds the places of devices.
    pub boot_args: String,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// Its name in this API.
    pub drive_id: String,
    /// The raw image. It becomes part of every snapshot, and nothing can change it later.
    pub path_on_host: Utf8PathBuf,
    /// Whether Firecracker names it on the kernel's command line. Ours does that itself.
    pub is_root_device: bool,
    /// Whether the guest may write.
    pub is_read_only: bool,
    /// `Writeback` honours the guest's flushes, `Unsafe` does not.
    pub cache_type: String,
    /// `Sync` or `Async` (io_uring).
    pub io_engine: String,
    /// How fast it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limiter: Option<RateLimiter>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Its name in this API.
    pub iface_id: String,
    /// The tap.
    pub host_dev_name: String,
    /// The MAC address that the guest has.
    pub guest_mac: String,
    /// How fast the guest may receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_rate_limiter: Option<RateLimiter>,
    /// How fast the guest may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_rate_limiter: Option<RateLimiter>,
}

/// Bounds of bytes and of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimiter {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<TokenBucket>,
    /// Operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ops: Option<TokenBucket>,
}

/// `size` tokens every `refill_time` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBucket {
    /// Tokens.
    pub size: u64,
    /// Milliseconds.
    pub refill_time: u64,
}

/// vCPUs and memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineConfig {
    /// Virtual CPUs.
    pub vcpu_count: u32,
    /// Memory in MiB.
    pub mem_size_mib: u64,
    /// Whether two vCPUs are shown as threads of one core.
    pub smt: bool,
    /// Whether pages are marked as the guest writes them.
    pub track_dirty_pages: bool,
    /// Which CPU the guest sees, where it is not the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_template: Option<String>,
}

/// The vsock device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vsock {
    /// The guest's address.
    pub guest_cid: u32,
    /// The socket over which the host reaches the guest.
    pub uds_path: Utf8PathBuf,
}

/// The random number device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entropy {}

/// The balloon, by which memory goes back to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balloon {
    /// How much of the guest's memory it holds.
    pub amount_mib: u64,
    /// Whether it lets go when the guest has no memory left.
    pub deflate_on_oom: bool,
    /// Seconds between two statistics; 0 for none.
    pub stats_polling_interval_s: u64,
}

/// The metadata service inside the guest's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmdsConfig {
    /// `V2` asks for a session token, as a request forged by a guest's web service has none.
    pub version: String,
    /// The interfaces over which it answers.
    pub network_interfaces: Vec<String>,
    /// Its link-local address.
    pub ipv4_address: String,
}

/// The body of `PATCH /vm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum VmState {
    /// vCPUs stand still.
    Paused,
    /// vCPUs run.
    Resumed,
}

/// The body of `PUT /actions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action_type")]
pub enum Action {
    /// The three keys by which a guest is asked to end.
    SendCtrlAltDel,
}

/// The body of `PUT /snapshot/create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCreate {
    /// `Diff` or `Full`.
    pub snapshot_type: String,
    /// Where device state goes.
    pub snapshot_path: Utf8PathBuf,
    /// Where memory goes. A diff is written onto a file of the right size that is there.
    pub mem_file_path: Utf8PathBuf,
}

/// The body of `PUT /snapshot/load`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotLoad {
    /// The device state.
    pub snapshot_path: Utf8PathBuf,
    /// The memory.
    pub mem_backend: MemoryBackend,
    /// Whether pages are marked as the guest writes them.
    pub track_dirty_pages: bool,
    /// Whether the guest runs at once.
    pub resume_vm: bool,
}

/// Where restored memory comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBackend {
    /// `File`: mapped privately.
    pub backend_type: String,
    /// The file.
    pub backend_path: Utf8PathBuf,
}

/// The answer to `GET /`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// The jailer's `--id`.
    pub id: String,
    /// What it does.
    pub state: InstanceState,
    /// Firecracker's version.
    pub vmm_version: String,
    /// `Firecracker`.
    pub app_name: String,
}

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// Nothing was booted or loaded.
    #[serde(rename = "Not started")]
    NotStarted,
    /// vCPUs run.
    Running,
    /// vCPUs stand still.
    Paused,
}

/// The answer to `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmmVersion {
    /// Without a `v` before it.
    pub firecracker_version: String,
}
