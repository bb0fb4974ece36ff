//! Ports of guests and what leads to them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;

/// The port of the guest at which SSH answers.
pub const GUEST_SSH_PORT: u16 = 2222;
/// The port of the guest at which VNC answers.
pub const GUEST_VNC_PORT: u16 = 6080;
/// The port of the guest at which the exec relay answers.
pub const GUEST_EXEC_PORT: u16 = 49983;

/// What a relayed port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortName {
    /// A shell.
    Ssh,
    /// The screen.
    Vnc,
    /// Processes, as E2B clients speak it.
    Exec,
}

impl PortName {
    /// The name as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Vnc => "vnc",
            Self::Exec => "exec",
        }
    }

    /// The port of the guest behind this name.
    #[must_use]
    pub fn guest_port(self) -> u16 {
        match self {
            Self::Ssh => GUEST_SSH_PORT,
            Self::Vnc => GUEST_VNC_PORT,
            Self::Exec => GUEST_EXEC_PORT,
        }
    }
}

/// What a port carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortProtocol {
    /// TCP.
    #[default]
    Tcp,
}

/// A port of a guest that the host relays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachinePort {
    /// What it is for.
    pub name: PortName,
    /// The port inside the guest.
    pub port: u16,
    /// The port of the host that leads to it.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub host_port: Option<u16>,
    /// What it carries.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub protocol: PortProtocol,
}
