//! What the adapter is told by the daemon.

use std::time::Duration;

use camino::Utf8PathBuf;
use engine::record::Tuning;

use crate::jail::Launcher;

/// Configuration of the adapter.
#[derive(Debug, Clone)]
pub struct FirecrackerConfig {
    /// Firecracker and jailer of new machines.
    pub default: Binaries,
    /// A directory with a subdirectory for each further version, which holds `firecracker` and `jailer`.
    pub versions: Option<Utf8PathBuf>,
    /// The device without which Firecracker runs no guest.
    pub kvm: Utf8PathBuf,
    /// Where runtime directories are prepared; root's, on a file system that allows execution.
    pub runtimes: Utf8PathBuf,
    /// How a launcher is started.
    pub launcher: Launcher,
    /// The control group, directly under the root of the hierarchy, that holds all runs of this daemon's Firecrackers.
    pub cgroup: String,
    /// Where network namespaces have their names.
    pub network_namespaces: Utf8PathBuf,
    /// What every kernel is told beside its console.
    pub kernel_arguments: String,
    /// Devices of every machine.
    pub devices: Devices,
    /// How long things may take.
    pub deadlines: Deadlines,
}

/// One Firecracker and the jailer that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Firecracker, static.
    pub firecracker: Utf8PathBuf,
    /// Its jailer.
    pub jailer: Utf8PathBuf,
}

/// How the devices of every machine are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// How disks are read and written.
    pub io_engine: IoEngine,
    /// What a guest's flush of its disk means.
    pub disk_cache: DiskCache,
    /// Bytes a second of each disk; none: as fast as it goes.
    pub disk_bytes_per_second: Option<u64>,
    /// Operations a second of each disk.
    pub disk_operations_per_second: Option<u64>,
    /// Bytes a second of the network, in each direction.
    pub network_bytes_per_second: Option<u64>,
    /// A CPU template by its name in Firecracker; none: the host's own CPU.
    pub cpu_template: Option<String>,
    /// Whether a guest has a balloon: empty, and let go when the guest has no memory left, by which its kernel can tell the host of free pages.
    pub has_balloon: bool,
}

impl Devices {
    /// As one machine has them: what it asked for before what is usual.
    pub(super) fn tuned(&self, tuning: &Tuning) -> Self {
        let limits = &tuning.rate_limits;
        let template = tuning.cpu_template.map(|template| template.as_str().to_owned());
        Self {
            disk_bytes_per_second: limits.disk_bytes_per_second.or(self.disk_bytes_per_second),
            disk_operations_per_second: limits
                .disk_operations_per_second
                .or(self.disk_operations_per_second),
            network_bytes_per_second: limits
                .network_bytes_per_second
                .or(self.network_bytes_per_second),
            cpu_template: template.or_else(|| self.cpu_template.clone()),
            ..self.clone()
        }
    }
}

/// How disks are read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IoEngine {
    /// By plain system calls in Firecracker's one thread of devices.
    #[default]
    Sync,
    /// By io_uring.
    Async,
}

/// What a guest's flush of its disk means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiskCache {
    /// What was written lies on the host's disk.
    #[default]
    Writeback,
    /// Nothing: a crash of the host may lose what guests believe to be safe.
    Unsafe,
}

/// How long things may take. Generous: a busy host multiplies the usual times by ten and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start of a launcher to its word; usual 75 ms.
    pub jail: Duration,
    /// One request to the API, and from the jail to the first answer; usual 10 ms.
    pub request: Duration,
    /// A look at a run, after which it counts as silent.
    pub observe: Duration,
    /// Writing or loading a snapshot; usual 10 ms, and seconds where all memory is written.
    pub snapshot: Duration,
    /// From SIGKILL to an empty control group; usual 20 ms.
    pub end: Duration,
    /// A binary that is asked for its version.
    pub version: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            jail: Duration::from_secs(15),
            request: Duration::from_secs(20),
            observe: Duration::from_secs(2),
            snapshot: Duration::from_secs(120),
            end: Duration::from_secs(15),
            version: Duration::from_secs(5),
        }
    }
}

/// Root disk, what to do at a panic, a keyboard of the least kind (by which a guest is asked to end), and the constant inner network in
/// the kernel's own words and in the agent's.
pub fn default_kernel_arguments() -> String {
    "root=/dev/vda rw reboot=k panic=-1 quiet i8042.noaux i8042.nomux i8042.dumbkbd \
     ip=172.16.0.2::172.16.0.1:255.255.255.252::eth0:off \
     computer.ip=172.16.0.2/30 computer.gateway=172.16.0.1 computer.dns=172.16.0.1 computer.vsock=1024"
        .to_owned()
}
