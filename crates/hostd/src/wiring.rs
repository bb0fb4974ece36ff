//! From the configuration to the engine's ports over this host.

use std::sync::Arc;
use std::time::Duration;

use chunks::files::CloneMode;
use chunks::limits::TransferLimits;
use chunks::transfer::{TransferClient, TransferError};
use engine::host::Host;
use engine::layout::Layout;
use engine::plan::{Deadlines, Defaults, Overcommit, RelayRanges, Settings};
use engine::port::{Clock, PortError};
use engine::record::VmmKind;
use engine::watch::Watch;
use rustix::thread::{CapabilitySet, capabilities};
use tracing::info;

use crate::adapters::{
    ArtifactCache, ExecTokens, HostChunks, HostFiles, HostGuest, filling_groups,
};
use crate::clock::SystemClock;
use crate::config::{self, BlockError, Config, ConfigError, DiskClone, parse_block};
use crate::file_uses::FileUses;
use crate::http::Agents;
use crate::network::{LinuxNetwork, NetworkSettings, RelayLimits};
use crate::root::Root;
use crate::store::{SqliteStore, StoreError};
use crate::vmms::{self, Vmms, VmmsError};

/// The hidden subcommand that becomes the launcher of a jail.
pub const LAUNCHER_COMMAND: &str = "vmm-launcher";

/// The control group that holds all runs of a daemon.
pub fn cgroup_name(host_id: &str) -> String {
    format!("computer-{host_id}")
}

/// The ports, and those of them that the daemon also uses past the engine.
pub struct Wired {
    /// All ports.
    pub host: Host,
    /// The network, for its warm slots.
    pub network: Arc<LinuxNetwork>,
    /// The agents, for commands.
    pub agents: Arc<dyn Agents>,
    /// The stopped machines whose files are reached.
    pub file_uses: FileUses,
}

/// Why the host is not ready.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The store.
    #[error("open the store")]
    Store(#[from] StoreError),
    /// The address block.
    #[error("network.address_block")]
    Block(#[from] BlockError),
    /// The network.
    #[error("find what the network needs")]
    Network(#[source] PortError),
    /// The VMM of new machines.
    #[error("make the VMM of new machines ready")]
    Vmms(#[from] VmmsError),
    /// Control groups.
    #[error("find the control groups")]
    Cgroups(#[source] std::io::Error),
    /// The client of object stores.
    #[error("make the client of object stores")]
    Transfer(#[from] TransferError),
    /// The secret of exec ports.
    #[error("read the secret of exec ports")]
    ExecSecret(#[source] ConfigError),
    /// Work on the blocking pool.
    #[error("work on the blocking pool")]
    Blocking(#[from] tokio::task::JoinError),
}

/// Opens everything. Changes nothing on the host beyond its root directory.
///
/// # Errors
/// When the host lacks what is configured.
pub async fn wire(
    config: &Config,
    root: &Root,
    watch: Arc<dyn Watch>,
) -> Result<Wired, WiringError> {
    let layout = Layout::new(config.root.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let path = layout.state().join("computerd.db");
    let store_clock = Arc::clone(&clock);
    let journal = blocking(move || Ok(SqliteStore::open(&path, store_clock)?)).await?;

    let Vmms { all, chosen, firecracker } = vmms::open(config, &layout, &root.host_id).await?;
    let network =
        Arc::new(LinuxNetwork::new(network_settings(config, root)?).map_err(WiringError::Network)?);
    let client = TransferClient::new(TransferLimits::default())?;
    let artifacts = Arc::new(ArtifactCache::new(
        layout.artifacts(),
        layout.all_scratch(),
        config.image_dirs.clone(),
        config.artifact_cache_bytes,
        client.clone(),
    ));
    let file_uses = FileUses::default();
    let secret = config.exec_secret().map_err(WiringError::ExecSecret)?;
    let tokens = ExecTokens::new(secret);
    let guest = Arc::new(HostGuest::new(firecracker, file_uses.clone(), tokens));
    let mount = vmm::cgroup::unified_mount().map_err(WiringError::Cgroups)?;
    let groups = filling_groups(
        &mount.unwrap_or_else(|| "/sys/fs/cgroup".into()),
        &cgroup_name(&root.host_id),
    );
    let host = Host {
        journal: Arc::new(journal),
        vmms: all,
        files: Arc::new(HostFiles::new(layout.clone(), clone_mode(config.disk_clone), artifacts)),
        network: Arc::<LinuxNetwork>::clone(&network),
        guest: Arc::<HostGuest>::clone(&guest),
        chunks: Arc::new(HostChunks::new(client, layout.all_scratch(), groups)),
        clock,
        watch,
        settings: Arc::new(settings(config, root, layout, chosen)?),
    };
    Ok(Wired { host, network, agents: guest, file_uses })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WiringError> + Send + 'static,
) -> Result<T, WiringError> {
    tokio::task::spawn_blocking(work).await?
}

fn settings(
    config: &Config,
    root: &Root,
    layout: Layout,
    vmm: VmmKind,
) -> Result<Settings, WiringError> {
    Ok(Settings {
        layout,
        host_id: root.host_id.clone(),
        addresses: parse_block(&config.network.address_block)?,
        first_uid: config.first_uid,
        relays: RelayRanges {
            ssh: config.relay.ssh,
            vnc: config.relay.vnc,
            exec: config.relay.exec,
            published: config.relay.published,
        },
        vmm,
        defaults: Defaults {
            vcpus: config.defaults.vcpus,
            memory_mib: config.defaults.memory_mib,
            storage_bytes: config.defaults.storage_bytes,
        },
        overcommit: Overcommit { memory: config.overcommit.memory, disk: config.overcommit.disk },
        deadlines: Deadlines {
            start_ms: config.deadlines.start_ms,
            stop_ms: config.deadlines.stop_ms,
            agent_ms: config.deadlines.agent_ms,
            self_thaw_ms: config.deadlines.self_thaw_ms,
        },
        image_dirs: config.image_dirs.clone(),
        login_ca_public_keys: config.guest.login_ca_public_keys.clone(),
        keep_failed: config.debug.keep_failed,
        may_raise_limits: may_raise_limits(),
    })
}

/// Root has this capability, except in some containers.
fn may_raise_limits() -> bool {
    let may =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    if !may {
        info!(
            "without CAP_SYS_RESOURCE disks of running machines do not grow: they need a restart"
        );
    }
    may
}

fn network_settings(config: &Config, root: &Root) -> Result<NetworkSettings, WiringError> {
    Ok(NetworkSettings {
        host_id: root.host_id.clone(),
        block: parse_block(&config.network.address_block)?,
        egress_interface: config.network.egress_interface.clone(),
        resolvers: config.network.resolvers.clone(),
        allowed: config.network.allowed.clone(),
        relays: relay_limits(&config.relay),
    })
}

fn relay_limits(relay: &config::Relay) -> RelayLimits {
    RelayLimits {
        address: relay.address,
        connect_timeout: Duration::from_millis(relay.connect_ms),
        idle_timeout: Duration::from_millis(relay.idle_ms),
        connections_per_port: relay.connections_per_port,
        connections: relay.connections,
    }
}

fn clone_mode(choice: DiskClone) -> CloneMode {
    match choice {
        DiskClone::Auto => CloneMode::Auto,
        DiskClone::Reflink => CloneMode::Reflink,
        DiskClone::Copy => CloneMode::Copy,
    }
}
