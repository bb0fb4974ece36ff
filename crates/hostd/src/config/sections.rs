//! The sections of the configuration, but for the network and the limits.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::firecracker::Firecracker;
use super::limits::{Deadlines, Limits};
use super::network::{Network, Relay};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Everything that the daemon keeps lies beneath it. Best on a file system that clones files (XFS, btrfs, bcachefs).
    pub root: Utf8PathBuf,
    /// The group, by name or number, that may use the Unix socket; only root may when absent.
    pub socket_group: Option<String>,
    /// The TCP listener; none when absent.
    pub listen: Option<Listen>,
    /// Directories beneath which `file` URLs of kernels and root images are allowed.
    pub image_dirs: Vec<Utf8PathBuf>,
    /// How disks are cloned.
    pub disk_clone: DiskClone,
    /// Which VMM runs new machines.
    pub vmm: VmmChoice,
    /// QEMU.
    pub qemu: Qemu,
    /// Firecracker.
    pub firecracker: Firecracker,
    /// Sizes of machines that do not say.
    pub defaults: Defaults,
    /// How much may be promised.
    pub overcommit: Overcommit,
    /// What every guest is told.
    pub guest: Guest,
    /// Networks of machines.
    pub network: Network,
    /// Relays from ports of the host to ports of guests.
    pub relay: Relay,
    /// Slot `n` runs its VMM under this uid plus `n`; what fills its files runs under that plus the number of slots. 200000 lies above login users and beside the ranges that subuid files
    /// usually give away (100000 to 165535).
    pub first_uid: u32,
    /// How much the cache of kernels and root images may take, in bytes. 20 GiB hold a handful of images in several versions.
    pub artifact_cache_bytes: u64,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// How much of anything is accepted.
    pub limits: Limits,
    /// What happened, told.
    pub log: Log,
    /// For looking at what went wrong.
    pub debug: Debug,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: "/var/lib/computer".into(),
            socket_group: None,
            listen: None,
            image_dirs: vec!["/var/lib/computer/images".into()],
            disk_clone: DiskClone::default(),
            vmm: VmmChoice::default(),
            qemu: Qemu::default(),
            firecracker: Firecracker::default(),
            defaults: Defaults::default(),
            overcommit: Overcommit::default(),
            guest: Guest::default(),
            network: Network::default(),
            relay: Relay::default(),
            first_uid: 200_000,
            artifact_cache_bytes: 20 << 30,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            log: Log::default(),
            debug: Debug::default(),
        }
    }
}

/// A TCP listener. Every request needs the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// The file that holds the bearer token; nobody but its owner may read it.
    pub token_file: Utf8PathBuf,
}

/// How disks are cloned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskClone {
    /// As the file system can.
    #[default]
    Auto,
    /// By sharing blocks, or not at all.
    Reflink,
    /// By copying what is not a hole.
    Copy,
}

/// Which VMM runs new machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VmmChoice {
    /// The best that this host can run.
    #[default]
    Auto,
    /// QEMU's `microvm`.
    Qemu,
    /// Firecracker under its jailer.
    Firecracker,
}

/// QEMU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Qemu {
    /// The QEMU of this host's architecture.
    pub binary: Utf8PathBuf,
    /// Which accelerator is used.
    pub accelerator: Accelerator,
}

impl Default for Qemu {
    fn default() -> Self {
        Self { binary: "/usr/bin/qemu-system-x86_64".into(), accelerator: Accelerator::default() }
    }
}

/// Which accelerator QEMU uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// KVM where hardware stands behind it, else TCG.
    #[default]
    Auto,
    /// TCG always.
    Tcg,
    /// KVM or nothing.
    Kvm,
}

/// Sizes of machines that do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// Virtual CPUs; contract.md says 2.
    pub vcpus: u32,
    /// Memory in MiB; contract.md says 3072.
    pub memory_mib: u64,
    /// The system disk in bytes. Sparse: 10 GiB leave room to work and cost what is written.
    pub storage_bytes: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { vcpus: 2, memory_mib: 3072, storage_bytes: 10 << 30 }
    }
}

/// How many times what is there may be promised. 1.0: nothing is promised twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overcommit {
    /// Of memory.
    pub memory: f64,
    /// Of disk.
    pub disk: f64,
}

impl Default for Overcommit {
    fn default() -> Self {
        Self { memory: 1.0, disk: 1.0 }
    }
}

/// What every guest is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guest {
    /// SSH certificate authorities whose users may log in to every guest.
    pub login_ca_public_keys: Vec<contract::SshPublicKey>,
    /// The file with the secret behind the tokens of exec ports: clients show HMAC-SHA256 of the machine's id under it, in
    /// hexadecimal, as `X-Access-Token`. Nobody but the file's owner may read it. Absent: exec ports want no token, and are
    /// best left on loopback.
    pub exec_secret_file: Option<Utf8PathBuf>,
}

/// What happened, told on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// As text for people or JSON for programs.
    pub format: LogFormat,
    /// How much, in the language of `tracing_subscriber::EnvFilter`: `info`, `warn,engine=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// For looking at what went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Debug {
    /// Whether what a failed start made is kept until the machine is stopped or deleted.
    pub keep_failed: bool,
}
