//! What a guest is told about itself and about who may come in.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use contract::machine::{GuestConfig, Hostname, LoginWebhook};
use contract::ssh_key::SshKeyError;
use contract::{Secret, WebhookUrl};

use crate::error::CliError;

/// What the guest is told.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the guest is told")]
pub(crate) struct GuestArguments {
    /// Its hostname [default: the machine's name].
    #[arg(long)]
    pub(crate) hostname: Option<Hostname>,
    /// An SSH public key that may log in, or a file of such keys; may be repeated.
    #[arg(long = "authorized-key", value_name = "KEY|FILE")]
    pub(crate) authorized_keys: Vec<String>,
    /// An SSH certificate authority whose users may log in, or a file of such; may be repeated.
    #[arg(long = "trusted-user-ca-key", value_name = "KEY|FILE")]
    pub(crate) trusted_user_ca_keys: Vec<String>,
    /// A URL to which the guest posts every login.
    #[arg(long, value_name = "URL")]
    pub(crate) login_webhook: Option<WebhookUrl>,
    /// The file that holds the token that the guest shows there.
    #[arg(long, value_name = "FILE", requires = "login_webhook")]
    pub(crate) login_webhook_token_file: Option<PathBuf>,
}

impl GuestArguments {
    /// The same for the daemon; `None` when nothing is said.
    ///
    /// # Errors
    /// When a file cannot be read, or holds something else than keys.
    pub(crate) fn config(&self) -> Result<Option<GuestConfig>, CliError> {
        let config = GuestConfig {
            hostname: self.hostname.clone(),
            authorized_keys: keys(&self.authorized_keys)?,
            trusted_user_ca_keys: keys(&self.trusted_user_ca_keys)?,
            login_webhook: self.webhook()?,
        };
        Ok((config != GuestConfig::default()).then_some(config))
    }

    fn webhook(&self) -> Result<Option<LoginWebhook>, CliError> {
        let Some(url) = self.login_webhook.clone() else { return Ok(None) };
        let token = self.login_webhook_token_file.as_ref().map(|path| {
            fs::read_to_string(path)
                .map_err(|source| CliError::ReadFile { path: path.clone(), source })
        });
        let token = token.transpose()?.unwrap_or_default();
        Ok(Some(LoginWebhook { url, bearer_token: Secret::new(token.trim()) }))
    }
}

/// A key is its type, a space and its text; whatever has no space is the name of a file.
fn keys<Key: FromStr<Err = SshKeyError>>(given: &[String]) -> Result<Vec<Key>, CliError> {
    let mut keys = Vec::new();
    for one in given {
        if one.trim().contains(' ') {
            keys.push(one.parse().map_err(CliError::Key)?);
            continue;
        }
        let text = fs::read_to_string(one)
            .map_err(|source| CliError::ReadFile { path: one.into(), source })?;
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            keys.push(line.parse().map_err(CliError::Key)?);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use contract::AuthorizedKey;

    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHThG2GNUEfcr16rHkxUriBq8lpBMsn5qs1jk2RTu12L";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBC2JFk4K04D6FhTNLneddyn7voecTC88UF+SPI6QfeF1S9Kb29uKFha5Y7ZXMldQ9ZFrtrgevZMN2wIpKHDB4x8=";

    #[test]
    fn keys_are_given_as_text_or_as_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, format!("# mine\n{ED25519} me\n\nno-pty {ECDSA} you\n")).unwrap();
        let given = [format!("{ED25519} them"), path.display().to_string()];
        let read: Vec<AuthorizedKey> = keys(&given).unwrap();
        let read: Vec<&str> = read.iter().map(AuthorizedKey::as_str).collect();
        let expected =
            [format!("{ED25519} them"), format!("{ED25519} me"), format!("no-pty {ECDSA} you")];
        assert_eq!(read, expected);
        for wrong in ["no-such-file", "ssh-ed25519 AAAA me"] {
            keys::<AuthorizedKey>(&[wrong.to_owned()]).expect_err(wrong);
        }
    }

    #[test]
    fn a_guest_that_is_told_nothing_has_no_config() {
        assert_eq!(GuestArguments::default().config().unwrap(), None);
    }
}
