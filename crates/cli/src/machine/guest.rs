//! What a guest is told about itself and about who may come in.

use std::fs;

use clap::Args;
use contract::machine::{GuestConfig, Hostname};

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
}

impl GuestArguments {
    /// The same for the daemon; `None` when nothing is said.
    ///
    /// # Errors
    /// When a file of keys cannot be read.
    pub(crate) fn config(&self) -> Result<Option<GuestConfig>, CliError> {
        let config = GuestConfig {
            hostname: self.hostname.clone(),
            authorized_keys: keys(&self.authorized_keys)?,
            trusted_user_ca_keys: keys(&self.trusted_user_ca_keys)?,
            login_webhook: None,
        };
        Ok((config != GuestConfig::default()).then_some(config))
    }
}

/// A key is its type, a space and its text; whatever has no space is the name of a file.
fn keys(given: &[String]) -> Result<Vec<String>, CliError> {
    let mut keys = Vec::new();
    for one in given {
        if one.trim().contains(' ') {
            keys.push(one.trim().to_owned());
            continue;
        }
        let text = fs::read_to_string(one)
            .map_err(|source| CliError::ReadFile { path: one.into(), source })?;
        let lines = text.lines().map(str::trim);
        keys.extend(
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
        );
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_as_text_or_as_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, "# mine\nssh-ed25519 AAAA me\n\nssh-rsa BBBB you\n").unwrap();
        let given = ["ssh-ed25519 CCCC them".to_owned(), path.display().to_string()];
        assert_eq!(
            keys(&given).unwrap(),
            ["ssh-ed25519 CCCC them", "ssh-ed25519 AAAA me", "ssh-rsa BBBB you"]
        );
        keys(&["no-such-file".to_owned()]).unwrap_err();
    }

    #[test]
    fn a_guest_that_is_told_nothing_has_no_config() {
        assert_eq!(GuestArguments::default().config().unwrap(), None);
    }
}
