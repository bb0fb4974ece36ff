//! SSH public keys, read and written anew, so that nothing but a key ever gets into a guest's files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PublicKey};

/// The longest line that is read: an RSA key of 16384 bits with options and a comment is shorter.
const LINE_BYTES: usize = 16 << 10;

/// Why a line is not taken. The line itself is not repeated: it may be long or hold anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {wanted}: {reason}")]
pub struct SshKeyError {
    wanted: &'static str,
    reason: String,
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $read:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(
            value_type = String,
            example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHThG2GNUEfcr16rHkxUriBq8lpBMsn5qs1jk2RTu12L me"
        )]
        pub struct $name(String);

        impl $name {
            /// The line as OpenSSH reads it: options, algorithm, key, comment.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = SshKeyError;

            fn from_str(text: &str) -> Result<Self, SshKeyError> {
                let wanted = $wanted;
                one_line(text)
                    .and_then($read)
                    .map(Self)
                    .map_err(|reason| SshKeyError { wanted, reason })
            }
        }

        impl TryFrom<String> for $name {
            type Error = SshKeyError;

            fn try_from(text: String) -> Result<Self, SshKeyError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(key: $name) -> String {
                key.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

key!(
    /// A key that may log in, with options before it where it has some: a line of `authorized_keys`, see sshd(8).
    AuthorizedKey, "a line of authorized_keys", read_entry
);
key!(
    /// The public key of a certificate authority.
    SshPublicKey, "an SSH public key", read_key
);

fn one_line(text: &str) -> Result<&str, String> {
    let line = text.trim_ascii();
    if line.len() > LINE_BYTES {
        return Err(format!("it is longer than {LINE_BYTES} bytes"));
    }
    if line.chars().any(char::is_control) {
        return Err("it is more than one line of text".to_owned());
    }
    Ok(line)
}

fn read_entry(line: &str) -> Result<String, String> {
    let (options, key) = split_options(line);
    let key = read_key(key)?;
    if options.is_empty() {
        return Ok(key);
    }
    if !separate(options, b',').into_iter().all(is_option) {
        return Err("its options are not NAME or NAME=\"VALUE\" with commas between".to_owned());
    }
    Ok(format!("{options} {key}"))
}

fn read_key(line: &str) -> Result<String, String> {
    let mut key = PublicKey::from_openssh(line).map_err(|error| error.to_string())?;
    is_known(&key)?;
    let comment = key.comment().trim().to_owned();
    key.set_comment(comment);
    key.to_openssh().map_err(|error| error.to_string())
}

/// What stands before the key, and the key. A key begins with its algorithm, options never do.
fn split_options(line: &str) -> (&str, &str) {
    let word = line.split([' ', '\t']).next().unwrap_or_default();
    if Algorithm::new(word).is_ok() {
        return ("", line);
    }
    let options = separate(line, b' ').first().copied().unwrap_or_default();
    (options, line[options.len()..].trim_start())
}

/// The parts between separators that stand in no quotes.
fn separate(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn is_option(option: &str) -> bool {
    let (name, value) = option.split_once('=').unzip();
    let name = name.unwrap_or(option);
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name
        && value
            .is_none_or(|value| value.len() >= 2 && value.starts_with('"') && value.ends_with('"'))
}

/// Keys that no SSH server of today takes are no keys.
fn is_known(key: &PublicKey) -> Result<(), String> {
    match (key.key_data(), key.algorithm()) {
        (KeyData::Other(_), _) | (_, Algorithm::Dsa) => {
            Err("its algorithm is none of ed25519, ecdsa, rsa and their sk forms".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHThG2GNUEfcr16rHkxUriBq8lpBMsn5qs1jk2RTu12L";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBC2JFk4K04D6FhTNLneddyn7voecTC88UF+SPI6QfeF1S9Kb29uKFha5Y7ZXMldQ9ZFrtrgevZMN2wIpKHDB4x8=";

    #[test]
    fn keys_are_read_and_written_anew() {
        for key in [ED25519, ECDSA] {
            let line = format!("  {key}   me@home \n");
            let written: SshPublicKey = line.parse().unwrap();
            assert_eq!(written.as_str(), format!("{key} me@home"));
            assert_eq!(written.as_str().parse::<SshPublicKey>().unwrap(), written);
            assert_eq!(line.parse::<AuthorizedKey>().unwrap().as_str(), written.as_str());
        }
    }

    #[test]
    fn options_stand_before_a_key_that_may_log_in_and_before_no_authority() {
        for options in
            ["no-pty", "no-pty,command=\"echo \\\"hi\\\", you\",from=\"10.*\"", "cert-authority"]
        {
            let line = format!("{options} {ED25519} my own laptop");
            assert_eq!(line.parse::<AuthorizedKey>().unwrap().as_str(), line);
            line.parse::<SshPublicKey>().expect_err(options);
        }
        for options in ["no pty", "a=b", "a=\"b", ",", "a,,b", "=\"b\"", "no-pty;reboot"] {
            let line = format!("{options} {ED25519} me");
            line.parse::<AuthorizedKey>().expect_err(options);
        }
    }

    #[test]
    fn promise_p1_what_is_no_key_gets_into_no_file() {
        let two_lines = format!("{ED25519} me\n{ED25519} you");
        let hidden = format!("{ED25519} me\r{ED25519}");
        let long = format!("{ED25519} {}", "x".repeat(LINE_BYTES));
        let torn = &ED25519[..ED25519.len() - 8];
        let hostile =
            ["", "#", "me", "ssh-ed25519", "ssh-ed25519 AAAA me", torn, &two_lines, &hidden, &long];
        for text in hostile {
            text.parse::<AuthorizedKey>().expect_err(text);
            text.parse::<SshPublicKey>().expect_err(text);
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_line() {
        let error = "-----BEGIN OPENSSH PRIVATE KEY----- secret".parse::<AuthorizedKey>();
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }
}
