//! What a host and a guest are to each other: how they speak, and what the guest is told about itself.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{IdError, MachineId};
use crate::location::WebhookUrl;
use crate::secret::Secret;
use crate::ssh_key::{AuthorizedKey, SshPublicKey};

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
    pub authorized_keys: Vec<AuthorizedKey>,
    /// SSH certificate authorities whose users may log in.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub trusted_user_ca_keys: Vec<SshPublicKey>,
    /// Whom the guest tells about logins.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub login_webhook: Option<LoginWebhook>,
}

/// Whom a guest tells about logins: it posts `{"event": "login", "hostname", "user", "source", "unix_time_ms"}` for each that begins,
/// with the token as `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoginWebhook {
    /// Where the guest posts.
    pub url: WebhookUrl,
    /// What it shows there: visible ASCII.
    #[serde(default, deserialize_with = "token", skip_serializing_if = "Secret::is_empty")]
    pub bearer_token: Secret,
}

/// A token that fits a header.
fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let token: Secret = forgiving::defaulted(deserializer)?;
    let is_fit = token.reveal().bytes().all(|byte| byte.is_ascii_graphic());
    if is_fit { Ok(token) } else { Err(D::Error::custom("a token is visible ASCII")) }
}

/// A hostname by RFC 1123 that Linux takes: labels of 1 to 63 letters, digits and `-`, each beginning and ending with a
/// letter or digit, with dots between, 64 characters in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(
    value_type = String,
    max_length = 64,
    pattern = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
)]
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
        let is_label = |label: &str| crate::id::is_name(label, 63, |byte| byte == b'-');
        if text.len() <= 64 && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                "hostname",
                "at most 64 characters: labels of letters, digits and '-' with dots between (RFC 1123)",
            ))
        }
    }
}

impl From<&MachineId> for Hostname {
    /// Every machine id is also a hostname, but for one of 64 characters, whose last is left out then.
    fn from(machine: &MachineId) -> Self {
        let name = machine.as_str();
        let label = name.get(..63).unwrap_or(name);
        Self(label.trim_end_matches('-').to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_labels_with_dots_between_rfc_1123() {
        for name in ["a", "7", "box-1", "a.b", "box.example", &"a".repeat(63)] {
            name.parse::<Hostname>().expect(name);
        }
        let long = format!("{}.{}", "a".repeat(32), "b".repeat(32));
        let hostile =
            ["", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "a_b", "a b", "a\nb"];
        for name in hostile.into_iter().chain([&*"a".repeat(64), &long]) {
            name.parse::<Hostname>().expect_err(name);
        }
    }

    #[test]
    fn every_machine_id_makes_a_hostname() {
        for id in ["box".to_owned(), "m".repeat(64), format!("{}-x", "m".repeat(62))] {
            let id: MachineId = id.parse().unwrap();
            let name = Hostname::from(&id);
            assert_eq!(name.as_str().parse::<Hostname>().unwrap(), name);
        }
    }

    #[test]
    fn promise_p11_a_token_cannot_bring_a_header_of_its_own() {
        let webhook = |token: &str| {
            let json = serde_json::json!({"url": "https://hooks.example/x", "bearer_token": token});
            serde_json::from_value::<LoginWebhook>(json)
        };
        webhook("abc.DEF-1_2~3+/=").unwrap();
        for token in ["a\nX-Evil: 1", "a b", "a\0", "é"] {
            webhook(token).expect_err(token);
        }
    }
}
