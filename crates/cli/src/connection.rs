//! Which daemon is spoken to, and how it knows us. A token is never an argument, since those are seen by all (promise P11).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use contract::Secret;
use contract::client::{Address, Client};

use crate::error::CliError;

/// Where a daemon listens when nothing else is said.
pub(crate) const DEFAULT_SOCKET: &str = "/var/lib/computer/computerd.sock";
/// The variable that holds the token when there is no file of it.
const TOKEN_VARIABLE: &str = "COMPUTER_TOKEN";

/// Which daemon.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct ConnectionArguments {
    /// The daemon's Unix socket [default: /var/lib/computer/computerd.sock].
    #[arg(long, global = true, value_name = "PATH", env = "COMPUTER_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// The daemon's TCP address instead, as HOST:PORT. The token is read from --token-file or COMPUTER_TOKEN.
    #[arg(long, global = true, value_name = "HOST:PORT", env = "COMPUTER_HOST")]
    pub(crate) host: Option<String>,
    /// A file that holds the token to show the daemon.
    #[arg(long, global = true, value_name = "FILE", env = "COMPUTER_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

impl ConnectionArguments {
    /// A client for that daemon.
    ///
    /// # Errors
    /// When two daemons are named, or the token cannot be read or sent.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let client = Client::new(self.address()?);
        match self.token()? {
            None => Ok(client),
            Some(token) => client.with_token(&token).map_err(CliError::TokenUnfit),
        }
    }

    fn address(&self) -> Result<Address, CliError> {
        match (&self.socket, &self.host) {
            (Some(_), Some(_)) => Err(CliError::TwoDaemons),
            (None, Some(host)) => Ok(Address::Tcp(host.clone())),
            (Some(socket), None) => Ok(Address::Unix(socket.clone())),
            (None, None) => Ok(Address::Unix(Path::new(DEFAULT_SOCKET).to_owned())),
        }
    }

    fn token(&self) -> Result<Option<Secret>, CliError> {
        let Some(path) = &self.token_file else {
            return Ok(env::var(TOKEN_VARIABLE)
                .ok()
                .filter(|token| !token.is_empty())
                .map(Secret::new));
        };
        let text = fs::read_to_string(path)
            .map_err(|source| CliError::ReadFile { path: path.clone(), source })?;
        Ok(Some(Secret::new(text.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_socket_is_taken_when_nothing_is_said() {
        let address = ConnectionArguments::default().address().unwrap();
        assert_eq!(address, Address::Unix(DEFAULT_SOCKET.into()));
    }

    #[test]
    fn a_socket_and_a_host_are_one_too_many() {
        let arguments = ConnectionArguments {
            socket: Some("/s".into()),
            host: Some("h:1".into()),
            token_file: None,
        };
        assert!(matches!(arguments.address(), Err(CliError::TwoDaemons)));
    }

    #[test]
    fn a_token_is_read_from_its_file_without_the_line_break() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "hunter2\n").unwrap();
        let arguments = ConnectionArguments { token_file: Some(path), ..Default::default() };
        assert_eq!(arguments.token().unwrap().unwrap().reveal(), "hunter2");
    }
}
