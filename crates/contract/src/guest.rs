//! What a host and a guest are to each other: how they speak, and what the guest is told about itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{IdError, MachineId};
use crate::secret::Secret;

/// How a host speaks to a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestProtocol {
    /// Our agent answers and confirms.
    #[default]
    Agent,
    /// The metadata service and the vsock line of guests made before there was an agent (Firecracker only).
    Mmds,
    /// Not at all: the machine is running once its VMM runs.
    None,
}

/// What a guest may reach beyond its own namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// Public addresses and the configured resolvers.
    #[default]
    Open,
    /// Nothing.
    None,
}

/// What a guest is told about itself and about who may come in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GuestConfig {
    /// The guest's hostname; the machine id when absent.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub hostname: Option<Hostname>,
    /// SSH public keys that may log in.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub authorized_keys: Vec<String>,
    /// SSH certificate authorities whose users may log in.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub trusted_user_ca_keys: Vec<String>,
    /// Whom the guest tells about logins.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub login_webhook: Option<LoginWebhook>,
}

/// Whom a guest tells about logins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoginWebhook {
    /// Where the guest posts.
    pub url: String,
    /// What it shows there.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Secret::is_empty"
    )]
    pub bearer_token: Secret,
}

/// A hostname that Linux takes: 1 to 64 letters, digits, `-` and `.`, beginning and ending with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$")]
pub struct Hostname(String);

impl Hostname {
    /// The hostname as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if crate::id::is_name(text, 64, |byte| matches!(byte, b'-' | b'.')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                "hostname",
                "1 to 64 letters, digits, '-' and '.', beginning and ending with a letter or digit",
            ))
        }
    }
}

impl From<&MachineId> for Hostname {
    /// Every machine id is also a hostname.
    fn from(machine: &MachineId) -> Self {
        Self(machine.to_string())
    }
}

impl TryFrom<String> for Hostname {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Hostname> for String {
    fn from(hostname: Hostname) -> String {
        hostname.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
