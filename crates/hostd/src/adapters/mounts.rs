//! A mount as rclone in the guest is told of it, and what the guest says of it.

use std::collections::HashMap;

use contract::mount::MountKind;
use engine::port::{MountOrder, MountReport};
use engine::record::MountState;
use guest::proto::mounts::{MountReport as Wire, MountRequest, State};

/// Where Google Cloud Storage speaks as S3 does, to keys of its interoperability.
const GCS_ENDPOINT: &str = "https://storage.googleapis.com";
/// The most that is kept of why a mount failed: a guest's words.
const REASON_CHARACTERS: usize = 500;

/// The order for the agent. The secret is in the options, and nowhere else.
pub(super) fn to_wire(order: &MountOrder) -> MountRequest {
    let mount = &order.mount;
    let config = &mount.config;
    let secret = order.secret.reveal().to_owned();
    let mut remote = HashMap::new();
    let mut obscured = HashMap::new();
    let mut set = |name: &str, value: &str| {
        if !value.is_empty() {
            remote.insert(name.to_owned(), value.to_owned());
        }
    };
    match mount.kind {
        MountKind::R2 | MountKind::S3 | MountKind::Gcs => {
            set("type", "s3");
            set("access_key_id", &config.access_key_id);
            set("secret_access_key", &secret);
            set("region", &config.region);
        }
        MountKind::Webdav => {
            set("type", "webdav");
            set("vendor", "other");
            set("url", &config.endpoint);
            set("user", &config.access_key_id);
            if !secret.is_empty() {
                obscured.insert("pass".to_owned(), secret.clone());
            }
        }
    }
    let mut set = |name: &str, value: &str| {
        remote.insert(name.to_owned(), value.to_owned());
    };
    match mount.kind {
        MountKind::R2 => {
            set("provider", "Cloudflare");
            set("endpoint", &config.endpoint);
        }
        MountKind::S3 if config.endpoint.is_empty() => set("provider", "AWS"),
        MountKind::S3 => {
            set("provider", "Other");
            set("endpoint", &config.endpoint);
        }
        MountKind::Gcs => {
            let endpoint = Some(config.endpoint.as_str()).filter(|text| !text.is_empty());
            set("provider", "GCS");
            set("endpoint", endpoint.unwrap_or(GCS_ENDPOINT));
        }
        MountKind::Webdav => {}
    }
    let cache = (!config.vfs_cache_mode.is_empty())
        .then(|| format!("--vfs-cache-mode={}", config.vfs_cache_mode));
    MountRequest {
        id: mount.id.to_string(),
        target_path: mount.target_path.clone(),
        read_only: mount.read_only,
        remote,
        obscured,
        bucket: config.bucket.clone(),
        flags: cache.into_iter().chain(config.extra_flags.iter().cloned()).collect(),
    }
}

/// What a guest says; `None` for what makes no sense.
pub(super) fn from_wire(report: Wire) -> Option<MountReport> {
    let state = match report.state() {
        State::Mounting => MountState::Mounting,
        State::Mounted => MountState::Mounted,
        State::Failed => {
            let words = report.message.chars().filter(|c| !c.is_control());
            MountState::Failed { reason: words.take(REASON_CHARACTERS).collect() }
        }
        State::Unspecified => return None,
    };
    Some(MountReport { id: report.id.parse().ok()?, state })
}

#[cfg(test)]
mod tests {
    use contract::Secret;
    use contract::mount::MountConfig;
    use engine::record::Mount;

    use super::*;

    fn order(kind: MountKind, endpoint: &str) -> MountOrder {
        let config = MountConfig {
            bucket: "b".into(),
            endpoint: endpoint.into(),
            access_key_id: "id".into(),
            vfs_cache_mode: "writes".into(),
            extra_flags: vec!["--transfers=2".into()],
            ..MountConfig::default()
        };
        let mount = Mount {
            id: "data".parse().unwrap(),
            kind,
            target_path: "/mnt/data".into(),
            read_only: false,
            config,
            made_by: engine::testing::operation(1),
            state: MountState::Pending,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        MountOrder { mount, secret: Secret::new("hunter2") }
    }

    #[test]
    fn each_kind_of_store_is_a_remote_of_rclone() {
        for (kind, endpoint, provider, expected) in [
            (MountKind::S3, "", "AWS", None),
            (MountKind::S3, "http://s", "Other", Some("http://s")),
            (MountKind::R2, "http://r", "Cloudflare", Some("http://r")),
            (MountKind::Gcs, "", "GCS", Some(GCS_ENDPOINT)),
        ] {
            let request = to_wire(&order(kind, endpoint));
            assert_eq!(request.remote["provider"], provider);
            assert_eq!(request.remote.get("endpoint").map(String::as_str), expected);
            assert_eq!(request.remote["secret_access_key"], "hunter2");
            assert_eq!(request.flags, ["--vfs-cache-mode=writes", "--transfers=2"]);
        }
        let request = to_wire(&order(MountKind::Webdav, "http://w"));
        assert_eq!((&*request.remote["url"], &*request.obscured["pass"]), ("http://w", "hunter2"));
    }

    #[test]
    fn promise_p11_the_secret_is_in_no_flag_and_no_debug_text() {
        for kind in [MountKind::S3, MountKind::Webdav] {
            let request = to_wire(&order(kind, "http://w"));
            assert!(!format!("{request:?}").contains("hunter2"));
            assert!(!request.flags.iter().any(|flag| flag.contains("hunter2")));
        }
    }
}
