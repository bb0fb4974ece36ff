//! VMMs of the fake host.

use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use contract::OperationId;
use engine::port::{
    Fault, GrownDisk, Launch, LaunchSpec, Observation, OriginOf, PortError, RunState, Vmm,
    VmmHandle,
};
use engine::record::{CpuIdentity, Origin, Shape, VmmKind};

use super::content::{Content, Part};
use super::disk::Inode;
use super::life::Life;
use super::process::Process;
use super::vmm_start::start;

/// The VMM port of one life, which behaves as one of this kind does.
#[derive(Debug)]
pub struct FakeVmm {
    life: Life,
    kind: VmmKind,
}

impl FakeVmm {
    /// The port.
    pub fn new(life: Life, kind: VmmKind) -> Self {
        Self { life, kind }
    }
}

/// What every snapshot of the fake host depends on.
pub fn origin(kind: VmmKind, shape: Shape) -> Origin {
    Origin {
        vmm: kind,
        vmm_version: "fake 1".into(),
        vmm_sha256: contract::Sha256Hex::from_bytes(&[7; 32]),
        machine_type: "microvm".into(),
        cpu: CpuIdentity {
            accelerator: "tcg".into(),
            model: "max".into(),
            vendor: "fake".into(),
            signature: "1-1-1".into(),
            flags: vec![],
        },
        tsc_khz: 2_000_000,
        host_kernel: "fake".into(),
        shape,
    }
}

#[async_trait]
impl Vmm for FakeVmm {
    async fn origin(&self, shape: &Shape, _of: OriginOf<'_>) -> Result<Origin, PortError> {
        self.life.effect("vmm.origin", |_| Ok(origin(self.kind, *shape))).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<VmmHandle, PortError> {
        self.life
            .effect("vmm.launch: cgroup", |state| {
                state.cgroups.insert(spec.launch.operation.clone());
                Ok(())
            })
            .await?;
        self.life.effect("vmm.launch: process", |state| start(state, spec)).await
    }

    async fn observe(&self, launch: &Launch, handle: &VmmHandle) -> Result<Observation, PortError> {
        self.life
            .effect("vmm.observe", |state| {
                let ended = if handle.boot_id == state.boot_id() {
                    state.ended.get(&launch.operation).cloned()
                } else {
                    Some((true, "the host was started anew".into()))
                };
                let found = state.process(&launch.operation);
                Ok(match found.filter(|process| process.handle == *handle) {
                    Some(process) if process.is_paused => Observation::Alive(RunState::Paused),
                    Some(_) => Observation::Alive(RunState::Running),
                    None => {
                        let (is_clean, reason) = ended.unwrap_or((false, "it is gone".into()));
                        Observation::Ended { is_clean, reason }
                    }
                })
            })
            .await
    }

    async fn pause(&self, launch: &Launch) -> Result<Duration, PortError> {
        self.life
            .effect("vmm.pause", |state| {
                state.process(&launch.operation).ok_or_else(|| gone(launch))?.is_paused = true;
                Ok(Duration::ZERO)
            })
            .await
    }

    async fn resume(&self, launch: &Launch) -> Result<(), PortError> {
        self.life
            .effect("vmm.resume", |state| {
                if let Some(process) = state.process(&launch.operation) {
                    process.is_paused = false;
                }
                Ok(())
            })
            .await
    }

    async fn capture(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError> {
        self.life
            .effect("vmm.capture", |state| {
                let process = state.process(&launch.operation).ok_or_else(|| gone(launch))?;
                if !process.is_paused {
                    let action = format!("capture {}: it runs", launch.machine);
                    return Err(PortError::plain(Fault::Internal, action));
                }
                if self.kind == VmmKind::Firecracker {
                    process.memory_aside = Some(process.guest.work);
                }
                let inode = captured(process, Part::Devices, process.guest.work);
                state.disk.write(into, inode).map(drop)
            })
            .await
    }

    async fn collect_memory(&self, launch: &Launch, into: &Utf8Path) -> Result<(), PortError> {
        self.life
            .effect("vmm.collect_memory", |state| {
                let process = state.process(&launch.operation).ok_or_else(|| gone(launch))?;
                let work = process.memory_aside.take().ok_or_else(|| {
                    let action = format!("collect memory of {}: none is aside", launch.machine);
                    PortError::plain(Fault::Internal, action)
                })?;
                let size_bytes = process.spec.shape.memory_mib << 20;
                let inode = captured(process, Part::Memory, work);
                let inode = Inode { size_bytes, owner: 0, was_held_by_vmm: false, ..inode };
                state.disk.write(into, inode).map(drop)
            })
            .await
    }

    async fn discard_capture(&self, launch: &Launch) -> Result<(), PortError> {
        self.life
            .effect("vmm.discard_capture", |state| {
                if let Some(process) = state.process(&launch.operation) {
                    process.memory_aside = None;
                }
                Ok(())
            })
            .await
    }

    async fn extend_disk(&self, launch: &Launch, disk: GrownDisk) -> Result<(), PortError> {
        let GrownDisk { index, size_bytes } = disk;
        self.life
            .effect("vmm.extend_disk", |state| {
                let process = state.process(&launch.operation).ok_or_else(|| gone(launch))?;
                let path = process.spec.disks.get(index).ok_or_else(|| gone(launch))?.path.clone();
                let file = state.disk.file(&path)?.1.size_bytes;
                if file < size_bytes {
                    state.defects.insert(format!("{path} is told to be larger than its file"));
                }
                Ok(())
            })
            .await
    }

    async fn press_power_button(&self, launch: &Launch) -> Result<(), PortError> {
        self.life
            .effect("vmm.press_power_button", |state| {
                state.end_process(&launch.operation, true, "the guest powered itself off");
                Ok(())
            })
            .await
    }

    async fn wait_ended(&self, launch: &Launch, deadline: Duration) -> Result<bool, PortError> {
        self.life
            .effect("vmm.wait_ended", |state| {
                let lives = state.process(&launch.operation).is_some();
                if lives {
                    state.monotonic += deadline;
                }
                Ok(!lives)
            })
            .await
    }

    async fn end(&self, launch: &Launch) -> Result<(), PortError> {
        self.end_orphan(&launch.operation).await
    }

    async fn console_tail(&self, _launch: &Launch, _limit_bytes: usize) -> String {
        "the last console line".into()
    }

    async fn carried_launches(&self) -> Result<Vec<OperationId>, PortError> {
        self.life
            .effect("vmm.carried_launches", |state| Ok(state.cgroups.iter().cloned().collect()))
            .await
    }

    async fn end_orphan(&self, operation: &OperationId) -> Result<(), PortError> {
        self.life
            .effect("vmm.end: processes", |state| {
                state.end_process(operation, false, "it was killed");
                Ok(())
            })
            .await?;
        self.life
            .effect("vmm.end: cgroup", |state| {
                state.cgroups.remove(operation);
                Ok(())
            })
            .await
    }
}

fn captured(process: &Process, part: Part, work: u64) -> Inode {
    let content = Content::Guest {
        part,
        born: process.guest.born.clone(),
        work,
        is_frozen: process.guest.is_frozen,
    };
    let owner = process.spec.slot.uid;
    Inode { content, size_bytes: 64 << 10, owner, is_read_only: false, was_held_by_vmm: true }
}

fn gone(launch: &Launch) -> PortError {
    PortError::plain(Fault::Absent, format!("reach the VMM of {}", launch.machine))
}
