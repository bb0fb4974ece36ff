//! The configuration, checked whole: every error is found before anything is touched.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::Utf8PathBuf;
use engine::record::PortRange;

use super::address::{BlockError, parse_block};
use super::{Config, Listen};

const DAY_MS: u64 = 24 * 3_600_000;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("read {origin} as TOML")]
    Syntax {
        /// File, variable or flag.
        origin: String,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// A `--set` is not `key=value`, or a key runs through a value that is no section.
    #[error("{0} does not name a key of a section")]
    Key(String),
    /// Keys or values are not those of the configuration.
    #[error("the configuration, put together from file, environment and flags, is refused")]
    Values(#[source] Box<toml::de::Error>),
    /// The address block.
    #[error("network.address_block")]
    Block(#[source] BlockError),
    /// A value does not make sense.
    #[error("{key}: {reason}")]
    Senseless {
        /// The key.
        key: &'static str,
        /// Why not.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{key}: read {path}")]
    File {
        /// The key.
        key: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Config {
    /// Checks what types do not say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        parse_block(&self.network.address_block).map_err(ConfigError::Block)?;
        self.check_paths()?;
        self.check_sizes()?;
        self.check_uids()?;
        self.check_ports()?;
        self.check_deadlines()?;
        self.exec_secret()?;
        self.listen.as_ref().map_or(Ok(()), |listen| read_token(listen).map(drop))
    }

    /// The secret behind the tokens of exec ports, where there is one.
    ///
    /// # Errors
    /// When its file cannot be read, others can read it, or it is too short to be a secret.
    pub fn exec_secret(&self) -> Result<Option<contract::Secret>, ConfigError> {
        let path = self.guest.exec_secret_file.as_ref();
        path.map(|path| read_secret("guest.exec_secret_file", path)).transpose()
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        require(
            self.root.is_absolute() && self.root.parent().is_some(),
            "root",
            "it is an absolute path, and not /",
        )?;
        let plain = |path: &Utf8PathBuf| {
            path.is_absolute()
                && path.components().all(|part| !matches!(part, camino::Utf8Component::ParentDir))
        };
        require(self.image_dirs.iter().all(plain), "image_dirs", "they are absolute, without ..")?;
        require(self.qemu.binary.is_absolute(), "qemu.binary", "it is an absolute path")?;
        self.check_firecracker()
    }

    fn check_firecracker(&self) -> Result<(), ConfigError> {
        let section = &self.firecracker;
        require(section.binary.is_absolute(), "firecracker.binary", "it is an absolute path")?;
        require(section.jailer.is_absolute(), "firecracker.jailer", "it is an absolute path")?;
        let is_absolute = section.versions.as_ref().is_none_or(|path| path.is_absolute());
        require(is_absolute, "firecracker.versions", "it is an absolute path")?;
        let rates = [
            section.disk_bytes_per_second,
            section.disk_operations_per_second,
            section.network_bytes_per_second,
        ];
        require(!rates.contains(&Some(0)), "firecracker", "no rate is 0: leave it out for no bound")
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        let sane = |factor: f64| factor.is_finite() && (0.1..=100.0).contains(&factor);
        require(sane(self.overcommit.memory), "overcommit.memory", "it is within 0.1 and 100")?;
        require(sane(self.overcommit.disk), "overcommit.disk", "it is within 0.1 and 100")?;
        require(self.defaults.vcpus >= 1, "defaults.vcpus", "it is at least 1")?;
        require(self.defaults.memory_mib >= 64, "defaults.memory_mib", "it is at least 64")?;
        let limits = &self.limits;
        require(limits.request_bytes >= 4096, "limits.request_bytes", "it is at least 4096")?;
        require(limits.connections >= 1, "limits.connections", "it is at least 1")?;
        require(limits.execs >= 1, "limits.execs", "it is at least 1")?;
        require(limits.listed_operations >= 1, "limits.listed_operations", "it is at least 1")
    }

    fn check_uids(&self) -> Result<(), ConfigError> {
        let block = parse_block(&self.network.address_block).map_err(ConfigError::Block)?;
        // The last uid is kept by the kernel for "no change".
        let fits = block
            .slots()
            .checked_mul(2)
            .and_then(|uids| self.first_uid.checked_add(uids))
            .is_some_and(|end| end < u32::MAX);
        require(
            self.first_uid >= 65_536 && fits,
            "first_uid",
            "it is 65536 or more, and leaves room for two uids per slot of network.address_block",
        )
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let relay = &self.relay;
        let ranges = [relay.published, relay.ssh, relay.vnc, relay.exec];
        let sound = |range: &PortRange| range.first >= 1024 && range.first <= range.last;
        require(
            ranges.iter().all(sound),
            "relay",
            "ranges begin at 1024 or later and before they end",
        )?;
        let apart = ranges
            .iter()
            .enumerate()
            .all(|(index, one)| ranges[index + 1..].iter().all(|other| !one.overlaps(other)));
        require(apart, "relay", "ranges do not overlap")?;
        let some = relay.connections_per_port >= 1 && relay.connections >= 1;
        require(some, "relay", "connections and connections_per_port are at least 1")?;
        let waits = (100..=DAY_MS).contains(&relay.connect_ms)
            && (1_000..=30 * DAY_MS).contains(&relay.idle_ms);
        require(
            waits,
            "relay",
            "connect_ms is within 100 ms and a day, idle_ms within 1 s and 30 days",
        )
    }

    fn check_deadlines(&self) -> Result<(), ConfigError> {
        let deadlines = &self.deadlines;
        let all = [
            deadlines.start_ms,
            deadlines.stop_ms,
            deadlines.agent_ms,
            deadlines.self_thaw_ms,
            deadlines.drain_ms,
            deadlines.reconcile_interval_ms,
            deadlines.scrub_interval_ms,
        ];
        let sane = all.iter().all(|value| (100..=DAY_MS).contains(value));
        require(sane, "deadlines", "each is within 100 ms and a day")
    }
}

/// Reads the token of a TCP listener; the file must be its owner's alone (promise P11).
///
/// # Errors
/// When it cannot be read, others can read it, or it is too short to be a secret.
pub(crate) fn read_token(listen: &Listen) -> Result<contract::Secret, ConfigError> {
    read_secret("listen.token_file", &listen.token_file)
}

fn read_secret(key: &'static str, path: &Utf8PathBuf) -> Result<contract::Secret, ConfigError> {
    const SHORTEST: usize = 16;
    let failed = |source| ConfigError::File { key, path: path.clone(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    require(metadata.len() <= 4096, key, "it is at most 4096 bytes")?;
    let is_private = metadata.permissions().mode() & 0o077 == 0;
    let owner = metadata.uid();
    let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
    require(
        is_private && is_ours,
        key,
        "it is ours or root's, and no other may read it (chmod 600)",
    )?;
    let token = std::fs::read_to_string(path).map_err(failed)?;
    let token = token.trim();
    let is_plain = token.len() >= SHORTEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    require(is_plain, key, "it is 16 or more visible ASCII characters")?;
    Ok(contract::Secret::new(token))
}

fn require(holds: bool, key: &'static str, rule: &str) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Senseless { key, reason: rule.to_owned() })
}
