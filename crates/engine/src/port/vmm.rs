//! How a guest runs: processes, their jail, device state.

use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{MachineId, OperationId, Sha256Hex};
use serde::{Deserialize, Serialize};

use crate::record::{Origin, Shape, Slot, Tuning, VmmKind};

use super::{GrownDisk, PortError};

/// One run of a machine: from the launch by one operation to its end. The operation's id names the cgroup and
/// everything else that the run makes, so that a run can be ended without knowing how far its launch came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The machine that runs.
    pub machine: MachineId,
    /// The operation that launched it.
    pub operation: OperationId,
    /// The VMM it runs under.
    pub vmm: VmmKind,
    /// The machine's directory: `machines/<machine>`.
    pub dir: Utf8PathBuf,
}

/// Who a VMM process is. A pid alone is never enough: pids are reused, and hosts reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmmHandle {
    /// The process as the host sees it (for QEMU, pid 1 of the jail).
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks after boot.
    pub start_time_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id` when it was started.
    pub boot_id: String,
}

/// A block device of a machine, in the order in which the guest sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The raw image beneath the machine's directory or the volume's.
    pub path: Utf8PathBuf,
}

/// Where guest RAM lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum GuestMemory {
    /// A file of the machine's own, mapped shared: a snapshot clones it. Made when absent.
    Own {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A sealed file mapped privately: many clones share its page cache.
    Sealed {
        /// The sealed file; never written.
        path: Utf8PathBuf,
    },
}

/// How a launch begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Boot {
    /// From the kernel. The guest runs when `launch` returns.
    Cold,
    /// From the kernel, for its files only: the agent serves, and starts nothing else (`computer.files` on the kernel's command line).
    Files,
    /// From device state beside its memory. The guest is loaded and paused when `launch` returns.
    Restore {
        /// The device state file.
        vmstate: Utf8PathBuf,
        /// The TSC frequency the guest believes in, in kHz; part of its identity.
        tsc_khz: u64,
        /// SHA-256 of the VMM's binary that wrote it, of which there may be several here.
        vmm_sha256: Sha256Hex,
    },
}

impl Boot {
    /// What the kernel's command line has beside the usual for [`Boot::Files`].
    pub const FILES_ARGUMENT: &str = "computer.files";

    /// Whether it boots, rather than going on from device state.
    pub fn is_from_kernel(&self) -> bool {
        match self {
            Self::Cold | Self::Files => true,
            Self::Restore { .. } => false,
        }
    }
}

/// Everything a launch needs, chosen by planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Which run this is.
    pub launch: Launch,
    /// vCPUs, memory, disk size.
    pub shape: Shape,
    /// The kernel image, read-only.
    pub kernel: Utf8PathBuf,
    /// The initial RAM disk, read-only.
    pub initrd: Option<Utf8PathBuf>,
    /// Guest RAM.
    pub memory: GuestMemory,
    /// The root disk first, then user disks.
    pub disks: Vec<Disk>,
    /// Namespace, address and uid.
    pub slot: Slot,
    /// Cold, or from a snapshot.
    pub boot: Boot,
    /// How its devices and CPU are made.
    #[serde(default)]
    pub tuning: Tuning,
}

/// Whether the vCPUs of a living VMM run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// vCPUs run.
    Running,
    /// vCPUs are stopped.
    Paused,
    /// The process lives but does not answer in time.
    Silent,
}

/// What a look at a run finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The process is the recorded one and lives.
    Alive(RunState),
    /// It is gone.
    Ended {
        /// True when the guest powered itself off, and when the host was started anew, which is no fault of the guest's
        /// either: the machine is stopped (P4). False for a crash, a kill or an unknown end.
        is_clean: bool,
        /// How it ended, in words.
        reason: String,
    },
}

/// Of what a snapshot's origin is asked.
#[derive(Debug, Clone, Copy)]
pub enum OriginOf<'a> {
    /// A snapshot of this run, taken now.
    Run(&'a Launch),
    /// The nearest that this host offers to where a snapshot was taken.
    Restore(&'a Origin),
}

/// Runs guests. One implementation each for QEMU and Firecracker, and an honest fake.
#[async_trait]
pub trait Vmm: Send + Sync {
    /// What a snapshot depends on: VMM version, CPU, TSC, host kernel.
    async fn origin(&self, shape: &Shape, of: OriginOf<'_>) -> Result<Origin, PortError>;

    /// Starts a jailed VMM. On error nothing that matters is left but what `end` removes.
    async fn launch(&self, spec: &LaunchSpec) -> Result<VmmHandle, PortError>;

    /// Looks at a run. `handle` is the recorded process; a stranger with its pid is `Ended`.
    async fn observe(&self, launch: &Launch, handle: &VmmHandle) -> Result<Observation, PortError>;

    /// Stops the vCPUs; how long ago they were asked to, so that no caller counts what was made ready before. Idempotent.
    async fn pause(&self, launch: &Launch) -> Result<Duration, PortError>;

    /// Runs the vCPUs. Idempotent, also for a run that is gone (nothing to resume).
    async fn resume(&self, launch: &Launch) -> Result<(), PortError>;

    /// Writes device state of a paused guest to `into` (a new file). A VMM that keeps guest RAM to itself sets that aside too, where
    /// [`Vmm::collect_memory`] finds it.
    async fn capture(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError>;

    /// Brings guest RAM, as the last capture set it aside, to `into` (a new file). The guest may run meanwhile. Only for a VMM that keeps
    /// guest RAM to itself; where it is a file of the machine's own ([`GuestMemory::Own`]), that is cloned within the pause.
    async fn collect_memory(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError>;

    /// Gives up what a capture set aside, which nobody will collect. Idempotent, also for a run that is gone.
    async fn discard_capture(&self, launch: &Launch) -> Result<(), PortError>;

    /// Tells a run that the file of a disk has grown. The guest sees it soon. Done before: fine.
    async fn extend_disk(&self, launch: &Launch, disk: GrownDisk) -> Result<(), PortError>;

    /// Presses the power button (or SendCtrlAltDel).
    async fn press_power_button(&self, launch: &Launch) -> Result<(), PortError>;

    /// Waits until the run has ended; true when it has within `deadline`.
    async fn wait_ended(&self, launch: &Launch, deadline: Duration) -> Result<bool, PortError>;

    /// Kills whatever is left of a run and removes its cgroup. Idempotent, works on a half-made launch.
    async fn end(&self, launch: &Launch) -> Result<(), PortError>;

    /// The last lines of the serial console, at most `limit_bytes`, lossy UTF-8. Empty when there are none.
    async fn console_tail(&self, launch: &Launch, limit_bytes: usize) -> String;

    /// The operations whose runs still carry a cgroup of this host, for the sweep of what nothing owns.
    async fn carried_launches(&self) -> Result<Vec<OperationId>, PortError>;

    /// Ends a run known by its operation only (the sweep).
    async fn end_orphan(&self, operation: &OperationId) -> Result<(), PortError>;
}
