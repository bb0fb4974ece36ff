//! The configuration file with which a machine boots: all of it at once, so that a boot takes no chain of requests.
//!
//! Every path is relative and constant, and so is every other name: they become part of snapshots, whose restored machines find
//! their own files under the same names.

use serde::Serialize;

use super::api::{
    Balloon, BootSource, Drive, Entropy, MachineConfig, MmdsConfig, NetworkInterface, RateLimiter,
    TokenBucket, Vsock,
};
use super::config::{Devices, DiskCache, IoEngine};

/// The kernel inside the jail.
pub(super) const KERNEL: &str = "kernel";
/// The initial RAM disk inside the jail.
pub(super) const INITRD: &str = "initrd";
/// The memory that a restored machine begins with, inside the jail.
pub(super) const MEMORY: &str = "memory";
/// The device state that a restored machine begins with, inside the jail.
pub(super) const VMSTATE: &str = "vmstate";
/// This file inside the jail.
pub(super) const CONFIG: &str = "config.json";
/// The API's socket inside the jail.
pub(super) const API_SOCKET: &str = "api.sock";
/// The socket of the guest's vsock inside the jail.
pub const VSOCK_SOCKET: &str = "vsock.sock";

/// The tap's name in every namespace.
pub(super) const TAP: &str = "tap0";
/// The guest's MAC address, the same in every machine: each has a network namespace of its own.
pub(super) const GUEST_MAC: &str = "06:00:ac:10:00:02";
const INTERFACE: &str = "eth0";
/// The lowest address that a guest can have.
const GUEST_CID: u32 = 3;
/// Where the metadata service answers, as contract.md fixes it.
const METADATA_ADDRESS: &str = "169.254.170.2";

/// A machine to be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootConfig<'a> {
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The root disk and the user disks.
    pub disks: usize,
    /// Whether there is an initial RAM disk.
    pub has_initrd: bool,
    /// The kernel's command line.
    pub kernel_arguments: &'a str,
    /// Devices of every machine.
    pub devices: &'a Devices,
}

/// The file's sections, by Firecracker's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    boot_source: BootSource,
    drives: Vec<Drive>,
    machine_config: MachineConfig,
    network_interfaces: Vec<NetworkInterface>,
    vsock: Vsock,
    entropy: Entropy,
    #[serde(skip_serializing_if = "Option::is_none")]
    balloon: Option<Balloon>,
    mmds_config: MmdsConfig,
}

/// A disk inside the jail, counted from the root disk.
pub(super) fn disk_name(index: usize) -> String {
    format!("disk-{index}")
}

impl BootConfig<'_> {
    /// The whole file.
    ///
    /// # Errors
    /// None that these types can bring about.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&File {
            boot_source: BootSource {
                kernel_image_path: KERNEL.into(),
                initrd_path: self.has_initrd.then(|| INITRD.into()),
                boot_args: format!("console=ttyS0 {}", self.kernel_arguments),
            },
            drives: (0..self.disks).map(|disk| self.drive(disk)).collect(),
            machine_config: MachineConfig {
                vcpu_count: self.vcpus,
                mem_size_mib: self.memory_mib,
                smt: false,
                // What is resident is found without: see `capture`.
                track_dirty_pages: false,
                cpu_template: self.devices.cpu_template.clone(),
            },
            network_interfaces: vec![NetworkInterface {
                iface_id: INTERFACE.to_owned(),
                host_dev_name: TAP.to_owned(),
                guest_mac: GUEST_MAC.to_owned(),
                rx_rate_limiter: limiter(self.devices.network_bytes_per_second, None),
                tx_rate_limiter: limiter(self.devices.network_bytes_per_second, None),
            }],
            vsock: Vsock { guest_cid: GUEST_CID, uds_path: VSOCK_SOCKET.into() },
            entropy: Entropy {},
            balloon: self.devices.has_balloon.then_some(Balloon {
                amount_mib: 0,
                deflate_on_oom: true,
                stats_polling_interval_s: 0,
            }),
            mmds_config: MmdsConfig {
                version: "V2".to_owned(),
                network_interfaces: vec![INTERFACE.to_owned()],
                ipv4_address: METADATA_ADDRESS.to_owned(),
            },
        })
    }

    fn drive(&self, disk: usize) -> Drive {
        let devices = self.devices;
        Drive {
            drive_id: disk_name(disk),
            path_on_host: disk_name(disk).into(),
            is_root_device: false,
            is_read_only: false,
            cache_type: match devices.disk_cache {
                DiskCache::Writeback => "Writeback",
                DiskCache::Unsafe => "Unsafe",
            }
            .to_owned(),
            io_engine: match devices.io_engine {
                IoEngine::Sync => "Sync",
                IoEngine::Async => "Async",
            }
            .to_owned(),
            rate_limiter: limiter(
                devices.disk_bytes_per_second,
                devices.disk_operations_per_second,
            ),
        }
    }
}

/// A second's worth of tokens, refilled within a second.
fn limiter(
    bytes_per_second: Option<u64>,
    operations_per_second: Option<u64>,
) -> Option<RateLimiter> {
    let bucket = |size: u64| TokenBucket { size, refill_time: 1000 };
    let limiter = RateLimiter {
        bandwidth: bytes_per_second.map(bucket),
        ops: operations_per_second.map(bucket),
    };
    (limiter.bandwidth.is_some() || limiter.ops.is_some()).then_some(limiter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_booted_machine_has_exactly_this_configuration() {
        let devices = Devices {
            disk_bytes_per_second: Some(1 << 20),
            cpu_template: Some("T2".into()),
            has_balloon: true,
            ..Devices::default()
        };
        let config = BootConfig {
            vcpus: 2,
            memory_mib: 512,
            disks: 1,
            has_initrd: true,
            kernel_arguments: "root=/dev/vda",
            devices: &devices,
        };

        let file: serde_json::Value = serde_json::from_str(&config.to_json().unwrap()).unwrap();

        assert_eq!(
            file,
            json!({
                "boot-source": {
                    "kernel_image_path": "kernel",
                    "initrd_path": "initrd",
                    "boot_args": "console=ttyS0 root=/dev/vda",
                },
                "drives": [{
                    "drive_id": "disk-0",
                    "path_on_host": "disk-0",
                    "is_root_device": false,
                    "is_read_only": false,
                    "cache_type": "Writeback",
                    "io_engine": "Sync",
                    "rate_limiter": { "bandwidth": { "size": 1_048_576, "refill_time": 1000 } },
                }],
                "machine-config": {
                    "vcpu_count": 2,
                    "mem_size_mib": 512,
                    "smt": false,
                    "track_dirty_pages": false,
                    "cpu_template": "T2",
                },
                "network-interfaces": [{
                    "iface_id": "eth0",
                    "host_dev_name": "tap0",
                    "guest_mac": "06:00:ac:10:00:02",
                }],
                "vsock": { "guest_cid": 3, "uds_path": "vsock.sock" },
                "entropy": {},
                "balloon": { "amount_mib": 0, "deflate_on_oom": true, "stats_polling_interval_s": 0 },
                "mmds-config": {
                    "version": "V2",
                    "network_interfaces": ["eth0"],
                    "ipv4_address": "169.254.170.2",
                },
            })
        );
    }
}
