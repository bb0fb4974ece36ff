//! What makes a guest this machine and no other: names, keys, the login webhook.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::atomic_file;
use super::cgroup::Cgroup;
use super::connect::Access;
use super::foreseen::{self, Foreseen};
use super::init::SshServer;
use super::login::{self, Webhook};
use super::places::Places;
use super::reaper::Reaper;
use super::ssh_keys::{self, SshKeysError};
use super::users::User;
use crate::limits;
use crate::proto::{Identity, IdentityReport, LoginWebhook, SkippedPart};

/// Whose signature lets a key in, with the file's mode.
const CA_KEYS: (&str, u32) = ("/etc/ssh/trusted_user_ca_keys", 0o644);

/// Why an identity was not applied in full. What came before it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{part}: {reason}")]
    Invalid { part: &'static str, reason: &'static str },
    #[error("set {part} in {path}")]
    File { part: &'static str, path: PathBuf, source: io::Error },
    #[error("set {part} in the kernel")]
    Kernel { part: &'static str, source: io::Error },
    #[error("regenerate ssh_host_keys")]
    HostKeys(#[source] SshKeysError),
}

/// Where the parts go.
#[derive(Debug)]
pub(crate) struct Applier<'a> {
    pub(crate) foreseen: Option<&'a Foreseen>,
    pub(crate) places: &'a Places,
    pub(crate) login_user: &'a str,
    pub(crate) reaper: &'a Reaper,
    pub(crate) cgroup: Option<&'a Cgroup>,
    pub(crate) ssh_server: &'a SshServer,
    pub(crate) exec_access: &'a Access,
}

/// What became of one part.
enum Outcome {
    Applied,
    Skipped(&'static str),
}

impl Applier<'_> {
    /// Applies what is present. Everything is checked before anything is changed.
    pub(crate) async fn apply(&self, identity: &Identity) -> Result<IdentityReport, IdentityError> {
        check(identity)?;
        let mut report = IdentityReport::default();
        if let Some(hostname) = &identity.hostname {
            note(&mut report, "hostname", self.set_hostname(hostname)?);
        }
        if let Some(machine_id) = &identity.machine_id {
            let line = format!("{machine_id}\n");
            self.write("machine_id", foreseen::MACHINE_ID, &line)?;
            note(&mut report, "machine_id", Outcome::Applied);
        }
        if let Some(list) = &identity.authorized_keys {
            note(&mut report, "authorized_keys", self.set_authorized_keys(&list.keys)?);
        }
        if let Some(list) = &identity.trusted_user_ca_keys {
            note(&mut report, "trusted_user_ca_keys", self.set_ca_keys(&list.keys)?);
        }
        if let Some(webhook) = &identity.login_webhook {
            note(&mut report, "login_webhook", self.set_webhook(webhook)?);
        }
        if let Some(server) = &identity.exec_server {
            self.exec_access.open(&server.token);
            note(&mut report, "exec_server", Outcome::Applied);
        }
        let has_none = ssh_keys::missing(self.places).is_none() && !ssh_keys::exist(self.places);
        if identity.regenerate_ssh_host_keys || has_none {
            note(&mut report, "ssh_host_keys", self.regenerate_host_keys().await?);
        }
        report.ssh_host_public_key = ssh_keys::public_key(self.places);
        Ok(report)
    }

    fn set_hostname(&self, hostname: &str) -> Result<Outcome, IdentityError> {
        self.write("hostname", foreseen::HOSTNAME, &format!("{hostname}\n"))?;
        let hosts = self.read(foreseen::HOSTS.0);
        self.write("hostname", foreseen::HOSTS, &with_own_name(&hosts, hostname))?;
        if self.places.is_real_root() {
            rustix::system::sethostname(hostname.as_bytes()).map_err(|error| {
                IdentityError::Kernel { part: "hostname", source: error.into() }
            })?;
        }
        Ok(Outcome::Applied)
    }

    fn set_authorized_keys(&self, keys: &[String]) -> Result<Outcome, IdentityError> {
        let Ok(user) = User::find(self.places, self.login_user) else {
            return Ok(Outcome::Skipped("the image has no such login user"));
        };
        let part = "authorized_keys";
        let directory = self.places.path(&user.home).join(".ssh");
        let owner = rustix::process::geteuid().is_root().then_some((user.uid, user.gid));
        let file = |source| IdentityError::File { part, path: directory.clone(), source };
        let is_private = |meta: &fs::Metadata| {
            meta.permissions().mode() & 0o7777 == 0o700
                && owner.is_none_or(|owner| owner == (meta.uid(), meta.gid()))
        };
        let is_ready = match fs::symlink_metadata(&directory) {
            Ok(meta) if meta.is_dir() => is_private(&meta),
            // The user may have made it point to a place that only root may write to.
            Ok(_) => return Ok(Outcome::Skipped("the login user's .ssh is no directory")),
            Err(_) => fs::create_dir_all(&directory).map(|()| false).map_err(file)?,
        };
        if !is_ready {
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(file)?;
            if let Some((uid, gid)) = owner {
                chown(&directory, Some(uid), Some(gid)).map_err(file)?;
            }
        }
        let path = directory.join("authorized_keys");
        let text = lines(keys);
        // A clone mostly has the keys of its source: then nothing is written while its processes wait.
        if !atomic_file::holds(&path, text.as_bytes(), 0o600, owner) {
            atomic_file::write(&path, text.as_bytes(), 0o600, owner)
                .map_err(|source| IdentityError::File { part, path, source })?;
        }
        Ok(Outcome::Applied)
    }

    fn set_ca_keys(&self, keys: &[String]) -> Result<Outcome, IdentityError> {
        if !self.places.path("/etc/ssh").is_dir() {
            return Ok(Outcome::Skipped("the image has no /etc/ssh"));
        }
        let part = "trusted_user_ca_keys";
        self.write(part, CA_KEYS, &lines(keys))?;
        Ok(Outcome::Applied)
    }

    /// Kept for the login hook, readable by root alone.
    fn set_webhook(&self, webhook: &LoginWebhook) -> Result<Outcome, IdentityError> {
        let part = "login_webhook";
        let path = self.places.path("/etc/computer/login-webhook.json");
        let file = |source| IdentityError::File { part, path: path.clone(), source };
        if webhook.url.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file(error)),
                _ => Ok(Outcome::Applied),
            };
        }
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(file)?;
        let text = serde_json::json!({ "url": webhook.url, "bearer_token": webhook.bearer_token });
        atomic_file::write(&path, text.to_string().as_bytes(), 0o600, None).map_err(file)?;
        Ok(login::missing().map_or(Outcome::Applied, Outcome::Skipped))
    }

    async fn regenerate_host_keys(&self) -> Result<Outcome, IdentityError> {
        if let Some(reason) = ssh_keys::missing(self.places) {
            return Ok(Outcome::Skipped(reason));
        }
        ssh_keys::regenerate(self.places, self.reaper, self.cgroup)
            .await
            .map_err(IdentityError::HostKeys)?;
        self.ssh_server
            .reload(self.reaper)
            .map_err(|source| IdentityError::Kernel { part: "ssh_host_keys", source })?;
        Ok(Outcome::Applied)
    }

    /// A small file of the system; empty when there is none.
    fn read(&self, path: &str) -> String {
        match self.foreseen.and_then(|foreseen| foreseen.file(path)) {
            Some(file) => String::from_utf8_lossy(file.text()).into_owned(),
            None => fs::read_to_string(self.places.path(path)).unwrap_or_default(),
        }
    }

    fn write(
        &self,
        part: &'static str,
        (path, mode): (&str, u32),
        text: &str,
    ) -> Result<(), IdentityError> {
        let known = self.foreseen.and_then(|foreseen| foreseen.file(path));
        if known.is_some_and(|file| file.settle(text.as_bytes()).is_ok()) {
            return Ok(());
        }
        let path = self.places.path(path);
        atomic_file::settle(&path, text.as_bytes(), mode).map_err(|source| IdentityError::File {
            part,
            path,
            source,
        })
    }
}

fn note(report: &mut IdentityReport, part: &'static str, outcome: Outcome) {
    match outcome {
        Outcome::Applied => report.applied.push(part.to_owned()),
        Outcome::Skipped(reason) => {
            report.skipped.push(SkippedPart { part: part.to_owned(), reason: reason.to_owned() });
        }
    }
}

fn check(identity: &Identity) -> Result<(), IdentityError> {
    let invalid = |part, reason| Err(IdentityError::Invalid { part, reason });
    if identity.hostname.as_ref().is_some_and(|name| !is_hostname(name)) {
        return invalid("hostname", "not a hostname by RFC 1123 of at most 64 characters");
    }
    if identity.machine_id.as_ref().is_some_and(|id| !is_machine_id(id)) {
        return invalid("machine_id", "not 32 lower-case hexadecimal digits");
    }
    let webhook = identity.login_webhook.as_ref();
    if webhook.is_some_and(|webhook| !Webhook::is_fit(&webhook.url, &webhook.bearer_token)) {
        return invalid("login_webhook", "the URL or the token is too long or no visible ASCII");
    }
    let authorized = identity.authorized_keys.iter().map(|list| ("authorized_keys", &list.keys));
    let trusted =
        identity.trusted_user_ca_keys.iter().map(|list| ("trusted_user_ca_keys", &list.keys));
    for (part, keys) in authorized.chain(trusted) {
        if keys.len() > limits::KEYS {
            return invalid(part, "too many keys");
        }
        if keys.iter().any(|key| key.len() > limits::KEY_BYTES || key.contains(['\n', '\r', '\0']))
        {
            return invalid(part, "a key is too long or more than one line");
        }
    }
    Ok(())
}

fn is_hostname(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 64 && name.split('.').all(is_label)
}

fn is_machine_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn lines(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key}\n")).collect()
}

/// /etc/hosts with the line for the machine's own name, which sudo looks up.
fn with_own_name(hosts: &str, hostname: &str) -> String {
    const OWN: &str = "127.0.1.1";
    let is_own = |line: &&str| line.split_whitespace().next() == Some(OWN);
    let mut kept: Vec<&str> = hosts.lines().filter(|line| !is_own(line)).collect();
    if kept.is_empty() {
        kept.push("127.0.0.1 localhost");
    }
    let own = format!("{OWN} {hostname}");
    kept.push(&own);
    kept.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_more_than_a_name_are_refused() {
        for name in ["", "-a", "a.", "a..b", "a.-b", "a b", "a\nb", &"x".repeat(64)] {
            assert!(!is_hostname(name), "{name:?}");
        }
        assert!(is_hostname("demo-1.example"));
        assert!(!is_machine_id("0123456789ABCDEF0123456789abcdef"));
        assert!(is_machine_id("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn the_own_name_in_hosts_is_replaced() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 old\n::1 localhost\n";
        assert_eq!(
            with_own_name(hosts, "new"),
            "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 new\n"
        );
        assert_eq!(with_own_name("", "new"), "127.0.0.1 localhost\n127.0.1.1 new\n");
    }
}
