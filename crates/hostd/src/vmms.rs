//! Which VMMs this host runs: each that can be made ready, and the one of new machines.

use std::collections::HashMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use engine::layout::Layout;
use engine::port::Vmm;
use engine::record::VmmKind;
use tracing::{info, warn};
use vmm::firecracker::{
    Binaries, Devices, Firecracker, FirecrackerConfig, FirecrackerError,
    default_kernel_arguments as firecracker_arguments,
};
use vmm::jail::Launcher;
use vmm::qemu::{AcceleratorChoice, Qemu, QemuConfig, QemuError, default_kernel_arguments};

use crate::config::{self, Accelerator, Config, VmmChoice};
use crate::wiring::{LAUNCHER_COMMAND, cgroup_name};

/// Why there is no VMM for new machines.
#[derive(Debug, thiserror::Error)]
pub enum VmmsError {
    /// QEMU.
    #[error("make QEMU ready")]
    Qemu(#[from] QemuError),
    /// Firecracker.
    #[error("make Firecracker ready")]
    Firecracker(#[from] FirecrackerError),
    /// Work on the blocking pool.
    #[error("work on the blocking pool")]
    Blocking(#[from] tokio::task::JoinError),
}

/// The VMMs of this host.
pub struct Vmms {
    /// Each by its kind. Machines of an earlier choice go on under theirs.
    pub all: HashMap<VmmKind, Arc<dyn Vmm>>,
    /// That of new machines.
    pub chosen: VmmKind,
    /// Firecracker once more, for what only its guests are told.
    pub firecracker: Option<Arc<Firecracker>>,
}

/// Makes ready what can be made ready.
///
/// # Errors
/// When the VMM of new machines cannot; any other is told in the log and left out.
pub async fn open(config: &Config, layout: &Layout, host_id: &str) -> Result<Vmms, VmmsError> {
    let firecracker = match config.vmm {
        VmmChoice::Firecracker => Some(Arc::new(open_firecracker(config, layout, host_id).await?)),
        VmmChoice::Auto | VmmChoice::Qemu if is_present(config) => {
            match open_firecracker(config, layout, host_id).await {
                Ok(firecracker) => Some(Arc::new(firecracker)),
                Err(error) => {
                    let error = error.during("make Firecracker ready");
                    warn!(error = error.chain(), "machines do without Firecracker");
                    None
                }
            }
        }
        VmmChoice::Auto | VmmChoice::Qemu => None,
    };
    let chosen = chosen(config.vmm, firecracker.as_deref());
    let mut all: HashMap<VmmKind, Arc<dyn Vmm>> = HashMap::new();
    match open_qemu(config, layout, host_id).await {
        Ok(qemu) => drop(all.insert(VmmKind::Qemu, Arc::new(qemu))),
        Err(error) if chosen == VmmKind::Qemu => return Err(error),
        Err(error) => info!(%error, "machines do without QEMU"),
    }
    if let Some(firecracker) = &firecracker {
        all.insert(VmmKind::Firecracker, Arc::<Firecracker>::clone(firecracker));
    }
    info!(vmm = ?chosen, "chose the VMM of new machines");
    Ok(Vmms { all, chosen, firecracker })
}

fn is_present(config: &Config) -> bool {
    config.firecracker.binary.exists() && config.firecracker.jailer.exists()
}

/// Firecracker by itself only where ordinary guests run under its KVM.
fn chosen(choice: VmmChoice, firecracker: Option<&Firecracker>) -> VmmKind {
    let has_hardware = firecracker.is_some_and(|firecracker| firecracker.facts().has_hardware_kvm);
    match choice {
        VmmChoice::Firecracker => {
            if !has_hardware {
                warn!("KVM has no hardware beneath it here: ordinary guests will not boot");
            }
            VmmKind::Firecracker
        }
        VmmChoice::Auto if has_hardware => VmmKind::Firecracker,
        VmmChoice::Auto | VmmChoice::Qemu => VmmKind::Qemu,
    }
}

/// The daemon's own binary; stays right when that on disk is replaced.
fn launcher() -> Launcher {
    Launcher { program: "/proc/self/exe".into(), arguments: vec![LAUNCHER_COMMAND.to_owned()] }
}

fn network_namespaces() -> Utf8PathBuf {
    "/run/netns".into()
}

async fn open_firecracker(
    config: &Config,
    layout: &Layout,
    host_id: &str,
) -> Result<Firecracker, FirecrackerError> {
    let section = &config.firecracker;
    Firecracker::open(FirecrackerConfig {
        default: Binaries { firecracker: section.binary.clone(), jailer: section.jailer.clone() },
        versions: section.versions.clone(),
        kvm: section.kvm.clone(),
        runtimes: layout.runtimes(),
        launcher: launcher(),
        cgroup: cgroup_name(host_id),
        network_namespaces: network_namespaces(),
        kernel_arguments: section.kernel_arguments.clone().unwrap_or_else(firecracker_arguments),
        devices: devices(section),
        deadlines: vmm::firecracker::Deadlines::default(),
    })
    .await
}

fn devices(section: &config::Firecracker) -> Devices {
    Devices {
        io_engine: match section.io_engine {
            config::IoEngine::Sync => vmm::firecracker::IoEngine::Sync,
            config::IoEngine::Async => vmm::firecracker::IoEngine::Async,
        },
        disk_cache: match section.disk_cache {
            config::DiskCache::Writeback => vmm::firecracker::DiskCache::Writeback,
            config::DiskCache::Unsafe => vmm::firecracker::DiskCache::Unsafe,
        },
        disk_bytes_per_second: section.disk_bytes_per_second,
        disk_operations_per_second: section.disk_operations_per_second,
        network_bytes_per_second: section.network_bytes_per_second,
        cpu_template: section.cpu_template.clone(),
        has_balloon: section.balloon,
    }
}

async fn open_qemu(config: &Config, layout: &Layout, host_id: &str) -> Result<Qemu, VmmsError> {
    let config = QemuConfig {
        binary: config.qemu.binary.clone(),
        runtimes: layout.runtimes(),
        launcher: launcher(),
        cgroup: cgroup_name(host_id),
        network_namespaces: network_namespaces(),
        kernel_arguments: default_kernel_arguments(),
        accelerator: match config.qemu.accelerator {
            Accelerator::Auto => AcceleratorChoice::Auto,
            Accelerator::Tcg => AcceleratorChoice::Tcg,
            Accelerator::Kvm => AcceleratorChoice::Kvm,
        },
        deadlines: vmm::qemu::Deadlines::default(),
    };
    Ok(tokio::task::spawn_blocking(move || Qemu::open(config)).await??)
}
