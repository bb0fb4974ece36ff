//! Firecracker.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Firecracker and its jailer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Firecracker {
    /// The Firecracker of new machines; static, as its releases are.
    pub binary: Utf8PathBuf,
    /// The jailer of the same release.
    pub jailer: Utf8PathBuf,
    /// A directory with a subdirectory for each further version, which holds `firecracker` and `jailer`: a snapshot is loaded by the very
    /// binary that wrote it.
    pub versions: Option<Utf8PathBuf>,
    /// The device without which Firecracker runs no guest; another one only where something else stands in for Firecracker.
    pub kvm: Utf8PathBuf,
    /// What every kernel is told beside its console; the usual when absent.
    pub kernel_arguments: Option<String>,
    /// How disks are read and written.
    pub io_engine: IoEngine,
    /// What a guest's flush of its disk means.
    pub disk_cache: DiskCache,
    /// Bytes a second of each disk; as fast as it goes when absent.
    pub disk_bytes_per_second: Option<u64>,
    /// Operations a second of each disk.
    pub disk_operations_per_second: Option<u64>,
    /// Bytes a second of a machine's network, in each direction.
    pub network_bytes_per_second: Option<u64>,
    /// A CPU template by its name in Firecracker (`T2`, `T2CL`, ...), by which machines can move between CPUs; the host's own CPU when absent.
    pub cpu_template: Option<String>,
    /// Whether guests have a balloon, empty at first, that gives way when they have no memory left.
    pub balloon: bool,
}

impl Default for Firecracker {
    fn default() -> Self {
        Self {
            binary: "/usr/bin/firecracker".into(),
            jailer: "/usr/bin/jailer".into(),
            versions: None,
            kvm: "/dev/kvm".into(),
            kernel_arguments: None,
            io_engine: IoEngine::default(),
            disk_cache: DiskCache::default(),
            disk_bytes_per_second: None,
            disk_operations_per_second: None,
            network_bytes_per_second: None,
            cpu_template: None,
            balloon: false,
        }
    }
}

/// How disks are read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoEngine {
    /// By plain system calls.
    #[default]
    Sync,
    /// By io_uring.
    Async,
}

/// What a guest's flush of its disk means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskCache {
    /// What was written lies on the host's disk.
    #[default]
    Writeback,
    /// Nothing: a crash of the host may lose what guests believe to be safe.
    Unsafe,
}
