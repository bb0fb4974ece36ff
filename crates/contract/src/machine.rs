//! Machines: what a caller asks for and what a host answers.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::Sha256Hex;
use crate::forgiving;
use crate::id::{MachineId, VolumeId};
use crate::location::ArtifactUrl;

pub use crate::guest::{Egress, GuestConfig, GuestProtocol, Hostname, LoginWebhook};
pub use crate::port::{
    GUEST_EXEC_PORT, GUEST_SSH_PORT, GUEST_VNC_PORT, MachinePort, PortName, PortProtocol,
};
pub use crate::tuning::{CpuTemplate, RateLimits};

/// What a machine boots: kernel, root image and, where the kernel needs one, an initrd.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct ArtifactRef {
    /// Where the kernel is.
    pub kernel_image_url: ArtifactUrl,
    /// Where the root image is.
    pub rootfs_url: ArtifactUrl,
    /// Where the initrd is.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub initrd_url: Option<ArtifactUrl>,
    /// The kernel's digest, verified when given.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub kernel_sha256_hex: Option<Sha256Hex>,
    /// The root image's digest, verified when given.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub rootfs_sha256_hex: Option<Sha256Hex>,
    /// The initrd's digest, verified when given.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub initrd_sha256_hex: Option<Sha256Hex>,
}

/// A request for a new machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreateMachineRequest {
    /// The name of the machine, chosen by the caller.
    pub machine_id: MachineId,
    /// What it boots.
    pub artifact: ArtifactRef,
    /// Guest memory; the host's default when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_mib: Option<u64>,
    /// Size of the system disk; that of the root image when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub storage_bytes: Option<u64>,
    /// Existing volumes to attach as further disks, in order.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub user_volume_ids: Vec<VolumeId>,
    /// What the guest is told about itself.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub guest_config: Option<GuestConfig>,
    /// Virtual CPUs; the host's default when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub vcpus: Option<u32>,
    /// How the guest is spoken to.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub guest_protocol: GuestProtocol,
    /// Guest ports that must accept before the machine counts as running; the protocol's own when empty.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ready_ports: Vec<u16>,
    /// What the guest may reach.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub egress: Egress,
    /// How fast its disks and its network may be; needs Firecracker.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub rate_limits: Option<RateLimits>,
    /// Which CPU the guest sees, in place of the host's own; needs Firecracker.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub cpu_template: Option<CpuTemplate>,
}

/// A request to give a machine another size. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResizeMachineRequest {
    /// The new guest memory.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_mib: Option<u64>,
    /// The new size of the system disk; it can only grow.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub storage_bytes: Option<u64>,
    /// Whether a running machine may be restarted for it.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub restart: bool,
}

/// Where a machine is in its life, as callers see it. There is never a fifth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The VMM runs and the guest is not ready yet.
    Starting,
    /// The guest is ready.
    Running,
    /// No VMM runs, and that is as it should be.
    Stopped,
    /// Something went wrong; `error` says what.
    Failed,
}

impl Phase {
    /// The phase as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// Whether a guest has confirmed that it took the identity of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The agent confirmed it.
    Confirmed,
    /// There is no agent that could.
    Unconfirmed,
}

/// A machine as a host answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// Its name.
    pub id: MachineId,
    /// What it boots.
    pub artifact: ArtifactRef,
    /// Its system disk.
    pub system_volume_id: VolumeId,
    /// Its further disks, in order.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub user_volume_ids: Vec<VolumeId>,
    /// The address at which the host reaches the guest; `""` while there is none.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        serialize_with = "forgiving::or_empty_text"
    )]
    #[schema(value_type = String)]
    pub runtime_host: Option<IpAddr>,
    /// The ports of the guest that are relayed.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub ports: Vec<MachinePort>,
    /// The guest's SSH host key; `""` until it is known.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        serialize_with = "forgiving::or_empty_text"
    )]
    #[schema(value_type = String)]
    pub guest_ssh_host_public_key: Option<String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it failed or stopped; `""` where there is nothing to say.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        serialize_with = "forgiving::or_empty_text"
    )]
    #[schema(value_type = String)]
    pub error: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its VMM was last started.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// Whether the guest has confirmed its identity.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub identity: Option<Identity>,
    /// Its virtual CPUs.
    #[serde(default)]
    pub vcpus: u32,
    /// Its memory.
    #[serde(default)]
    pub memory_mib: u64,
    /// The size of its system disk.
    #[serde(default)]
    pub storage_bytes: u64,
    /// How the host speaks to its guest.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub guest_protocol: GuestProtocol,
    /// What the guest may reach.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub egress: Egress,
}

/// The answer that holds one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MachineAnswer {
    /// The machine.
    pub machine: Machine,
}

/// The answer that lists machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MachinesAnswer {
    /// The machines, oldest first.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub machines: Vec<Machine>,
}
