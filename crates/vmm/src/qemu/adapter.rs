//! The port `Vmm`, answered by QEMU.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{OperationId, Sha256Hex};
use engine::port::{
    Fault, GrownDisk, Launch, LaunchSpec, Observation, OriginOf, PortError, RunState, Vmm,
    VmmHandle,
};
use engine::record::{CpuIdentity, Origin, Shape, VmmKind};

use crate::cgroup::{Cgroup, CgroupError, unified_mount};
use crate::host::HostFacts;
use crate::jail::ring;
use crate::process::{LiveProcess, boot_id};

use super::command_line::{Accelerator, node_name};
use super::config::{AcceleratorChoice, QemuConfig};
use super::device_state;
use super::error::QemuError;
use super::installation::Installation;
use super::launch;
use super::monitors::Monitors;
use super::qmp::{Monitor, QmpError, VmStatus};
use super::run::Run;
use super::shared_memory::SharedMemory;

/// Runs guests under QEMU.
#[derive(Debug)]
pub struct Qemu {
    pub(super) config: QemuConfig,
    pub(super) installation: Installation,
    pub(super) facts: HostFacts,
    pub(super) accelerator: Accelerator,
    cgroups: Utf8PathBuf,
    monitors: Monitors,
    pub(super) shared_memory: SharedMemory,
}

impl Qemu {
    /// Prepares QEMU's copy and finds out what guests depend on. Blocking; called once at the start of the daemon.
    pub fn open(config: QemuConfig) -> Result<Self, QemuError> {
        let mount = unified_mount().map_err(|source| QemuError::File {
            action: "read",
            path: "/proc/self/mountinfo".into(),
            source,
        })?;
        let cgroups = mount.ok_or(CgroupError::NoUnifiedHierarchy)?.join(&config.cgroup);
        let installation = Installation::prepare(&config.binary, &config.runtimes)?;
        let facts = HostFacts::find_out()?;
        let accelerator = match (config.accelerator, facts.has_hardware_kvm) {
            (AcceleratorChoice::Tcg, _) | (AcceleratorChoice::Auto, false) => Accelerator::Tcg,
            (AcceleratorChoice::Kvm | AcceleratorChoice::Auto, true) => Accelerator::Kvm,
            (AcceleratorChoice::Kvm, false) => return Err(QemuError::NoHardware),
        };
        let monitors = Monitors::default();
        let shared_memory = SharedMemory::default();
        Ok(Self { config, installation, facts, accelerator, cgroups, monitors, shared_memory })
    }

    /// What guests of this host depend on.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// The QEMU in use.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// What executes guest code.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// Where a run has its things.
    pub fn run(&self, launch: &Launch) -> Run {
        Run::of(launch, &self.cgroups)
    }

    /// The monitor that the run's pause left open, else a new connection.
    async fn monitor(&self, launch: &Launch) -> Result<Monitor, QmpError> {
        let socket = self.run(launch).monitor_socket();
        self.monitors.take(&launch.operation, &socket, self.config.deadlines.monitor).await
    }

    /// What a capture needs is said before the guest stands still, and the connection kept until it goes on.
    async fn stand_still(&self, launch: &Launch) -> Result<Duration, QemuError> {
        let mut monitor = self.monitor(launch).await?;
        device_state::prepare(&mut monitor).await?;
        let began = Instant::now();
        monitor.stop().await?;
        self.monitors.keep(&launch.operation, monitor);
        Ok(began.elapsed())
    }

    async fn capture_state(&self, launch: &Launch, into: &Utf8Path) -> Result<(), QemuError> {
        let mut monitor = match self.monitors.kept(&launch.operation) {
            Some(prepared) => prepared,
            None => {
                let mut new = self.monitor(launch).await?;
                device_state::prepare(&mut new).await?;
                new
            }
        };
        device_state::capture(&mut monitor, into, &self.config.deadlines).await?;
        self.monitors.keep(&launch.operation, monitor);
        Ok(())
    }

    async fn look(&self, launch: &Launch, handle: &VmmHandle) -> Result<Observation, QemuError> {
        let Some(process) = LiveProcess::open(handle)? else {
            return Ok(self.ended(launch, handle));
        };
        let socket = self.run(launch).monitor_socket();
        let looked = async {
            let deadline = self.config.deadlines.observe;
            self.monitors.take(&launch.operation, &socket, deadline).await?.query_status().await
        };
        let state = match looked.await {
            Ok(VmStatus::Running) => RunState::Running,
            Ok(_stopped) => RunState::Paused,
            Err(QmpError::Silent { .. }) => RunState::Silent,
            Err(error) => {
                // The monitor is gone: so is QEMU, and its keeper follows as soon as it has recorded that.
                if process.wait_exit(self.config.deadlines.observe).await? {
                    return Ok(self.ended(launch, handle));
                }
                return Err(error.into());
            }
        };
        Ok(Observation::Alive(state))
    }

    fn ended(&self, launch: &Launch, handle: &VmmHandle) -> Observation {
        if boot_id().is_ok_and(|now| now != handle.boot_id) {
            return Observation::Ended {
                is_clean: true,
                reason: "the host was started anew".to_owned(),
            };
        }
        let end = self.run(launch).end(self.installation.tells_power_off);
        Observation::Ended { is_clean: end.is_clean, reason: end.reason }
    }

    async fn resume_if_there(&self, launch: &Launch) -> Result<(), QemuError> {
        if !self.run(launch).cgroup().is_populated()? {
            return Ok(());
        }
        let mut monitor = self.monitor(launch).await?;
        device_state::resume(&mut monitor, &self.config.deadlines).await
    }
}

#[async_trait]
impl Vmm for Qemu {
    /// There is one QEMU here, so it is the same for all.
    async fn origin(&self, shape: &Shape, _of: OriginOf<'_>) -> Result<Origin, PortError> {
        let sha256_hex = &self.installation.runtime.program_sha256_hex;
        let vmm_sha256: Sha256Hex =
            sha256_hex.parse().map_err(|error| PortError::internal("describe this QEMU", error))?;
        let cpu = &self.facts.cpu;
        Ok(Origin {
            vmm: VmmKind::Qemu,
            vmm_version: self.installation.version.clone(),
            vmm_sha256,
            machine_type: "microvm".to_owned(),
            cpu: CpuIdentity {
                accelerator: self.accelerator.name().to_owned(),
                model: self.accelerator.cpu_model().to_owned(),
                vendor: cpu.vendor.clone(),
                signature: cpu.signature.clone(),
                flags: cpu.flags.clone(),
            },
            tsc_khz: self.facts.tsc_khz,
            host_kernel: self.facts.kernel_release.clone(),
            shape: *shape,
        })
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<VmmHandle, PortError> {
        let launched = launch::launch(self, spec).await;
        launched.map_err(|error| error.during(format!("launch QEMU for {}", spec.launch.machine)))
    }

    async fn observe(&self, launch: &Launch, handle: &VmmHandle) -> Result<Observation, PortError> {
        let looked = self.look(launch, handle).await;
        looked.map_err(|error| error.during(format!("look at QEMU of {}", launch.machine)))
    }

    async fn pause(&self, launch: &Launch) -> Result<Duration, PortError> {
        let paused = self.stand_still(launch).await;
        paused.map_err(|error| error.during(format!("pause {}", launch.machine)))
    }

    async fn resume(&self, launch: &Launch) -> Result<(), PortError> {
        let resumed = self.resume_if_there(launch).await;
        resumed.map_err(|error| error.during(format!("resume {}", launch.machine)))
    }

    async fn capture(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError> {
        let captured = self.capture_state(launch, into).await;
        captured.map_err(|error| {
            error.during(format!("capture the device state of {}", launch.machine))
        })
    }

    async fn collect_memory(&self, launch: &Launch, _into: &Utf8Path) -> Result<(), PortError> {
        let action =
            format!("collect the memory of {}: it is a file that is cloned", launch.machine);
        Err(PortError::plain(Fault::Internal, action))
    }

    /// It sets nothing aside.
    async fn discard_capture(&self, _launch: &Launch) -> Result<(), PortError> {
        Ok(())
    }

    async fn extend_disk(&self, launch: &Launch, disk: GrownDisk) -> Result<(), PortError> {
        let GrownDisk { index, size_bytes } = disk;
        let extended = async {
            self.run(launch).allow_file_size(size_bytes)?;
            Ok(self.monitor(launch).await?.block_resize(&node_name(index), size_bytes).await?)
        };
        extended.await.map_err(|error: QemuError| {
            error.during(format!("make disk {index} of {} larger", launch.machine))
        })
    }

    async fn press_power_button(&self, launch: &Launch) -> Result<(), PortError> {
        let pressed = async { Ok(self.monitor(launch).await?.system_powerdown().await?) };
        pressed.await.map_err(|error: QemuError| {
            error.during(format!("press the power button of {}", launch.machine))
        })
    }

    async fn wait_ended(&self, launch: &Launch, deadline: Duration) -> Result<bool, PortError> {
        let ended = self.run(launch).cgroup().wait_empty(deadline).await;
        ended.map_err(|error| {
            QemuError::from(error).during(format!("wait for the end of {}", launch.machine))
        })
    }

    async fn end(&self, launch: &Launch) -> Result<(), PortError> {
        drop(self.monitors.kept(&launch.operation));
        self.shared_memory.release(&launch.operation);
        let ended = self.run(launch).cgroup().end(self.config.deadlines.end).await;
        ended.map_err(|error| {
            QemuError::from(error).during(format!("end QEMU of {}", launch.machine))
        })
    }

    async fn console_tail(&self, launch: &Launch, limit_bytes: usize) -> String {
        match ring::read_tail(&self.run(launch).logs().console, limit_bytes) {
            Ok(tail) => String::from_utf8_lossy(&tail).into_owned(),
            Err(error) => {
                tracing::warn!(machine = %launch.machine, %error, "the console cannot be read");
                String::new()
            }
        }
    }

    async fn carried_launches(&self) -> Result<Vec<OperationId>, PortError> {
        let names = Cgroup::names(&self.cgroups).map_err(|error| {
            QemuError::from(error).during("list the control groups of this host")
        })?;
        // A group of any other name is not ours.
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn end_orphan(&self, operation: &OperationId) -> Result<(), PortError> {
        drop(self.monitors.kept(operation));
        self.shared_memory.release(operation);
        let ended =
            Cgroup::at(&self.cgroups, operation.as_str()).end(self.config.deadlines.end).await;
        ended.map_err(|error| {
            QemuError::from(error).during(format!("end the run of operation {operation}"))
        })
    }
}
