//! The port `Vmm`, answered by Firecracker.

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

use super::api::{Action, Api, ApiError, InstanceState, Request, VmState};
use super::boot::API_SOCKET;
use super::config::FirecrackerConfig;
use super::error::FirecrackerError;
use super::installation::Installation;
use super::run::Run;
use super::run_record::RunRecord;
use super::{capture, launch};

/// Runs guests under Firecracker.
#[derive(Debug)]
pub struct Firecracker {
    pub(super) config: FirecrackerConfig,
    pub(super) installation: Installation,
    facts: HostFacts,
    cgroups: Utf8PathBuf,
}

/// The model of a guest's CPU that is the host's own.
const OWN_CPU: &str = "host";

/// What wrote, or would write, a snapshot.
struct Writer {
    version: String,
    sha256: Sha256Hex,
    cpu_template: Option<String>,
}

impl Firecracker {
    /// Prepares every version and finds out what guests depend on. Called once at the start of the daemon.
    ///
    /// # Errors
    /// When the default Firecracker or its jailer cannot be used, with the reason, or the host lacks what every machine needs.
    pub async fn open(config: FirecrackerConfig) -> Result<Self, FirecrackerError> {
        let mount = unified_mount().map_err(|source| FirecrackerError::File {
            action: "read",
            path: "/proc/self/mountinfo".into(),
            source,
        })?;
        let cgroups = mount.ok_or(CgroupError::NoUnifiedHierarchy)?.join(&config.cgroup);
        if !config.kvm.exists() {
            return Err(FirecrackerError::NoKvm { device: config.kvm });
        }
        let installation = Installation::prepare(
            &config.default,
            config.versions.as_deref(),
            &config.runtimes,
            config.deadlines.version,
        )
        .await?;
        let facts = tokio::task::spawn_blocking(HostFacts::find_out).await;
        let facts = facts.map_err(|error| FirecrackerError::File {
            action: "look at",
            path: "/proc/cpuinfo".into(),
            source: std::io::Error::other(error),
        })??;
        Ok(Self { config, installation, facts, cgroups })
    }

    /// What guests of this host depend on.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// The Firecrackers in use.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Where a run has its things.
    pub fn run(&self, launch: &Launch) -> Run {
        Run::of(launch, &self.cgroups)
    }

    async fn send(
        &self,
        launch: &Launch,
        request: Request,
        deadline: Duration,
    ) -> Result<(), FirecrackerError> {
        let root = self.run(launch).jail_root()?;
        Ok(Api::new(&root, API_SOCKET).send(&request, deadline).await?)
    }

    async fn look(
        &self,
        launch: &Launch,
        handle: &VmmHandle,
    ) -> Result<Observation, FirecrackerError> {
        let Some(process) = LiveProcess::open(handle)? else {
            return self.ended(launch, handle).await;
        };
        let deadline = self.config.deadlines.observe;
        let looked = async {
            let root = self.run(launch).jail_root()?;
            Ok(Api::new(&root, API_SOCKET).describe(deadline).await?)
        };
        let state = match looked.await {
            Ok(info) => match info.state {
                InstanceState::Running => RunState::Running,
                InstanceState::Paused | InstanceState::NotStarted => RunState::Paused,
            },
            Err(FirecrackerError::Api(ApiError::Silent { .. })) => RunState::Silent,
            Err(error) => {
                // The API is gone: so is Firecracker, or will be in a moment.
                if process.wait_exit(deadline).await? {
                    return self.ended(launch, handle).await;
                }
                return Err(error);
            }
        };
        Ok(Observation::Alive(state))
    }

    /// The keeper leaves once it has recorded how Firecracker ended.
    async fn ended(
        &self,
        launch: &Launch,
        handle: &VmmHandle,
    ) -> Result<Observation, FirecrackerError> {
        if boot_id().is_ok_and(|now| now != handle.boot_id) {
            return Ok(Observation::Ended {
                is_clean: true,
                reason: "the host was started anew".to_owned(),
            });
        }
        let run = self.run(launch);
        run.cgroup().wait_empty(self.config.deadlines.observe).await?;
        let end = run.end();
        Ok(Observation::Ended { is_clean: end.is_clean, reason: end.reason })
    }

    fn writer(&self, of: OriginOf<'_>) -> Result<Writer, FirecrackerError> {
        let there = match of {
            OriginOf::Run(launch) => {
                let record = RunRecord::read(&self.run(launch).record(), &launch.operation)?;
                return Ok(Writer {
                    version: record.vmm_version,
                    sha256: record.vmm_sha256,
                    cpu_template: record.cpu_template,
                });
            }
            OriginOf::Restore(there) => there,
        };
        let installed = self.installation.by_sha256(&there.vmm_sha256);
        let installed = installed.unwrap_or(self.installation.default());
        // The template lies in device state: a restored guest sees what it saw, whatever is usual here.
        let template = there.cpu.model.clone();
        Ok(Writer {
            version: installed.version.to_string(),
            sha256: installed.sha256.clone(),
            cpu_template: (template != OWN_CPU).then_some(template),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        launch: &Launch,
        work: impl FnOnce(&Run, &Launch) -> Result<T, FirecrackerError> + Send + 'static,
    ) -> Result<T, FirecrackerError> {
        let (run, launch) = (self.run(launch), launch.clone());
        let dir = run.jail_dir();
        tokio::task::spawn_blocking(move || work(&run, &launch)).await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(FirecrackerError::File { action: "work in", path: dir, source })
        })
    }
}

#[async_trait]
impl Vmm for Firecracker {
    async fn origin(&self, shape: &Shape, of: OriginOf<'_>) -> Result<Origin, PortError> {
        let writer =
            self.writer(of).map_err(|error| error.during("tell which Firecracker this is"))?;
        let cpu = &self.facts.cpu;
        Ok(Origin {
            vmm: VmmKind::Firecracker,
            vmm_version: writer.version,
            vmm_sha256: writer.sha256,
            machine_type: "firecracker".to_owned(),
            cpu: CpuIdentity {
                accelerator: "kvm".to_owned(),
                model: writer.cpu_template.unwrap_or_else(|| OWN_CPU.to_owned()),
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
        launched.map_err(|error| {
            error.during(format!("launch Firecracker for {}", spec.launch.machine))
        })
    }

    async fn observe(&self, launch: &Launch, handle: &VmmHandle) -> Result<Observation, PortError> {
        let looked = self.look(launch, handle).await;
        looked.map_err(|error| error.during(format!("look at Firecracker of {}", launch.machine)))
    }

    async fn pause(&self, launch: &Launch) -> Result<Duration, PortError> {
        let began = Instant::now();
        let request = Request::PatchVm(VmState::Paused);
        let paused = self.send(launch, request, self.config.deadlines.request).await;
        paused.map_err(|error| error.during(format!("pause {}", launch.machine)))?;
        Ok(began.elapsed())
    }

    async fn resume(&self, launch: &Launch) -> Result<(), PortError> {
        let request = Request::PatchVm(VmState::Resumed);
        match self.send(launch, request, self.config.deadlines.request).await {
            Ok(()) | Err(FirecrackerError::Gone) => Ok(()),
            Err(error) => Err(error.during(format!("resume {}", launch.machine))),
        }
    }

    async fn capture(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError> {
        let captured = capture::capture(self, launch, into).await;
        captured.map_err(|error| error.during(format!("capture {}", launch.machine)))
    }

    async fn collect_memory(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError> {
        let into = into.to_owned();
        let collected =
            self.blocking(launch, move |run, launch| capture::collect(run, launch, &into)).await;
        collected.map_err(|error| error.during(format!("collect the memory of {}", launch.machine)))
    }

    async fn discard_capture(&self, launch: &Launch) -> Result<(), PortError> {
        let discarded = self.blocking(launch, capture::discard).await;
        discarded
            .map_err(|error| error.during(format!("discard the capture of {}", launch.machine)))
    }

    /// Planning lets no machine of this VMM ask for it: a disk grows with a restart.
    async fn extend_disk(&self, launch: &Launch, disk: GrownDisk) -> Result<(), PortError> {
        let action = format!("make disk {} of {} larger while it runs", disk.index, launch.machine);
        Err(PortError::plain(Fault::Refused, action))
    }

    async fn press_power_button(&self, launch: &Launch) -> Result<(), PortError> {
        let request = Request::Act(Action::SendCtrlAltDel);
        let pressed = self.send(launch, request, self.config.deadlines.request).await;
        pressed
            .map_err(|error| error.during(format!("press the power button of {}", launch.machine)))
    }

    async fn wait_ended(&self, launch: &Launch, deadline: Duration) -> Result<bool, PortError> {
        let ended = self.run(launch).cgroup().wait_empty(deadline).await;
        ended.map_err(|error| {
            FirecrackerError::from(error).during(format!("wait for the end of {}", launch.machine))
        })
    }

    async fn end(&self, launch: &Launch) -> Result<(), PortError> {
        let ended = self.run(launch).cgroup().end(self.config.deadlines.end).await;
        ended.map_err(|error| {
            FirecrackerError::from(error).during(format!("end Firecracker of {}", launch.machine))
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
            FirecrackerError::from(error).during("list the control groups of this host")
        })?;
        // A group of any other name is not ours.
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn end_orphan(&self, operation: &OperationId) -> Result<(), PortError> {
        let ended =
            Cgroup::at(&self.cgroups, operation.as_str()).end(self.config.deadlines.end).await;
        ended.map_err(|error| {
            FirecrackerError::from(error).during(format!("end the run of operation {operation}"))
        })
    }
}
