//! A machine's configuration: the sections of the file, which are the bodies of the requests too. Strict, as Firecracker is.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it. What a boot cannot do without is asked for at the boot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Configuration {
    pub(super) boot_source: Option<BootSource>,
    pub(super) drives: Vec<Drive>,
    pub(super) machine_config: MachineConfig,
    pub(super) network_interfaces: Vec<NetworkInterface>,
    pub(super) vsock: Option<Vsock>,
    pub(super) entropy: Option<Value>,
    pub(super) balloon: Option<Balloon>,
    pub(super) mmds_config: Option<MmdsConfig>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BootSource {
    pub(super) kernel_image_path: Utf8PathBuf,
    pub(super) initrd_path: Option<Utf8PathBuf>,
    pub(super) boot_args: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drive {
    pub(super) drive_id: String,
    pub(super) path_on_host: Utf8PathBuf,
    pub(super) is_root_device: bool,
    #[serde(default)]
    pub(super) is_read_only: bool,
    pub(super) cache_type: Option<CacheType>,
    pub(super) io_engine: Option<IoEngine>,
    pub(super) rate_limiter: Option<RateLimiter>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum CacheType {
    Writeback,
    Unsafe,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum IoEngine {
    Sync,
    Async,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimiter {
    pub(super) bandwidth: Option<TokenBucket>,
    pub(super) ops: Option<TokenBucket>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBucket {
    pub(super) size: u64,
    pub(super) refill_time: u64,
    pub(super) one_time_burst: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkInterface {
    pub(super) iface_id: String,
    pub(super) host_dev_name: String,
    pub(super) guest_mac: Option<String>,
    pub(super) rx_rate_limiter: Option<RateLimiter>,
    pub(super) tx_rate_limiter: Option<RateLimiter>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MachineConfig {
    pub(super) vcpu_count: u32,
    pub(super) mem_size_mib: u64,
    #[serde(default)]
    pub(super) smt: bool,
    #[serde(default)]
    pub(super) track_dirty_pages: bool,
    pub(super) cpu_template: Option<CpuTemplate>,
}

/// What Firecracker gives who says nothing.
impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            vcpu_count: 1,
            mem_size_mib: 128,
            smt: false,
            track_dirty_pages: false,
            cpu_template: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum CpuTemplate {
    C3,
    T2,
    T2S,
    T2CL,
    T2A,
    V1N1,
    None,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vsock {
    pub(super) guest_cid: u32,
    pub(super) uds_path: Utf8PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Balloon {
    pub(super) amount_mib: u64,
    pub(super) deflate_on_oom: bool,
    #[serde(default)]
    pub(super) stats_polling_interval_s: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MmdsConfig {
    pub(super) version: Option<String>,
    pub(super) network_interfaces: Vec<String>,
    pub(super) ipv4_address: Option<String>,
}

impl Configuration {
    /// What is wrong with it beyond its form, if anything.
    pub(super) fn objection(&self) -> Option<String> {
        let machine = &self.machine_config;
        if !(1..=32).contains(&machine.vcpu_count) {
            return Some(format!("The vCPU number is invalid! ({})", machine.vcpu_count));
        }
        if machine.mem_size_mib == 0 {
            return Some("The memory size (MiB) is invalid.".to_owned());
        }
        if self.balloon.as_ref().is_some_and(|balloon| balloon.amount_mib > machine.mem_size_mib) {
            return Some("The balloon is larger than the memory.".to_owned());
        }
        let known = |id: &String| self.network_interfaces.iter().any(|have| have.iface_id == *id);
        let metadata = self.mmds_config.iter().flat_map(|mmds| &mmds.network_interfaces);
        let mut unknown = metadata.filter(|id| !known(id));
        unknown.next().map(|id| format!("Invalid interface ID: {id}"))
    }
}
