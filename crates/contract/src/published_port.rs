//! Published ports: ports of a guest that the host opens to others.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{MachineId, PublishedPortId};
use crate::machine::PortProtocol;

/// A request to publish a port of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatePublishedPortRequest {
    /// The name of the published port, chosen by the caller.
    pub published_port_id: PublishedPortId,
    /// What people call it.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// The port inside the guest.
    pub port: u16,
    /// What it carries.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub protocol: PortProtocol,
    /// Whether it carries HTTP. Such a port is reached through the host's own listeners too, by the `host_name` of the answer.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub http: bool,
}

/// A published port as a host answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedPort {
    /// Its name.
    pub id: PublishedPortId,
    /// Whose port it is.
    pub machine_id: MachineId,
    /// What people call it; `""` when it has no such name.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub name: String,
    /// The port inside the guest.
    pub port: u16,
    /// The port of the host that leads to it.
    pub host_port: u16,
    /// What it carries.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub protocol: PortProtocol,
    /// Whether it carries HTTP.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub http: bool,
    /// Of an HTTP port, the first label of the host names under which the host's own listeners lead to it:
    /// `<name or port>--<machine>`. What follows the first dot is the caller's choice.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub host_name: Option<String>,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The answer that holds one published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedPortAnswer {
    /// The published port.
    pub port: PublishedPort,
}

/// The answer that lists published ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedPortsAnswer {
    /// The published ports of the machine, oldest first.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub ports: Vec<PublishedPort>,
}
