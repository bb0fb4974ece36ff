//! What the adapter is told by the daemon.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::jail::Launcher;

/// Which accelerator is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AcceleratorChoice {
    /// KVM where hardware stands behind it, else TCG.
    #[default]
    Auto,
    /// TCG always.
    Tcg,
    /// KVM or nothing.
    Kvm,
}

/// Configuration of the adapter.
#[derive(Debug, Clone)]
pub struct QemuConfig {
    /// The QEMU of this host's architecture.
    pub binary: Utf8PathBuf,
    /// Where runtime directories are prepared; root's, on a file system that allows execution.
    pub runtimes: Utf8PathBuf,
    /// How a launcher is started.
    pub launcher: Launcher,
    /// The control group, directly under the root of the hierarchy, that holds all runs of this daemon: `computer-<host id>`.
    pub cgroup: String,
    /// Where network namespaces have their names.
    pub network_namespaces: Utf8PathBuf,
    /// What every kernel is told beside console and clock.
    pub kernel_arguments: String,
    /// Which accelerator is used.
    pub accelerator: AcceleratorChoice,
    /// How long things may take.
    pub deadlines: Deadlines,
}

/// How long things may take. Generous: a busy host multiplies the usual times by ten and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start of a launcher to its word; usual 30 ms.
    pub jail: Duration,
    /// One exchange with the monitor; usual 1 ms, and `stop` writes back what the guest wrote.
    pub monitor: Duration,
    /// A look at a run, after which it counts as silent.
    pub observe: Duration,
    /// Writing or loading device state; usual 10 ms.
    pub device_state: Duration,
    /// From SIGKILL to an empty control group; usual 50 ms.
    pub end: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            jail: Duration::from_secs(15),
            monitor: Duration::from_secs(20),
            observe: Duration::from_secs(2),
            device_state: Duration::from_secs(30),
            end: Duration::from_secs(15),
        }
    }
}

/// Root disk, what to do at a panic, and the constant inner network.
pub fn default_kernel_arguments() -> String {
    "root=/dev/vda reboot=t panic=-1 quiet computer.ip=172.16.0.2/30 computer.gateway=172.16.0.1 computer.dns=172.16.0.1"
        .to_owned()
}
