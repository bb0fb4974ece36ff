//! Plans of mounts: the record and the secret; that the guest mounts what is recorded is seen to by [`crate::mounts`].

use contract::machine::GuestProtocol;
use contract::mount::{CreateMountRequest, MountConfig, MountKind};
use contract::operation::OperationKind;
use contract::{ErrorCode, MountId};
use url::Url;

use crate::claim::Claim;
use crate::phase::Phase;
use crate::record::{Machine, Mount, MountState};
use crate::step::Step;

use super::{Change, Facts, Hold, Plan, Refusal};

/// Mounts of one machine: each is a process of the guest.
const MOUNTS: usize = 16;
/// The longest text of a configuration.
const TEXT_BYTES: usize = 2048;
/// How long a guest has to write back what it has not.
const UNMOUNT_MS: u64 = 30_000;
/// Directories at the top of a guest in which mounts may lie: none of the system's.
const TOPS: [&str; 8] = ["home", "mnt", "media", "srv", "opt", "data", "workspace", "root"];
/// How rclone may cache.
const CACHE_MODES: [&str; 4] = ["off", "minimal", "writes", "full"];
/// What a caller may say to rclone beside: nothing that names a file, a command, a listener or a log.
const FLAGS: [&str; 24] = [
    "attr-timeout",
    "buffer-size",
    "checkers",
    "contimeout",
    "dir-cache-time",
    "dir-perms",
    "file-perms",
    "low-level-retries",
    "no-checksum",
    "no-modtime",
    "poll-interval",
    "retries",
    "s3-chunk-size",
    "s3-force-path-style",
    "s3-no-check-bucket",
    "timeout",
    "tpslimit",
    "transfers",
    "umask",
    "use-server-modtime",
    "vfs-cache-max-age",
    "vfs-cache-max-size",
    "vfs-read-chunk-size",
    "vfs-write-back",
];

/// Records a mount and keeps its secret. The guest mounts it when the machine runs.
pub fn create(
    request: &CreateMountRequest,
    machine: &Machine,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    match machine.guest_protocol {
        GuestProtocol::Agent => {}
        GuestProtocol::Mmds | GuestProtocol::None => {
            let reason = format!("the guest of machine {} has no agent", machine.id);
            return Err(Refusal::new(ErrorCode::NoAgent, reason));
        }
    }
    let id = &request.mount_id;
    if machine.mounts.iter().any(|mount| mount.id == *id) {
        return Err(Refusal::new(ErrorCode::Exists, format!("mount {id} exists")));
    }
    if machine.mounts.len() >= MOUNTS {
        return Err(refused(format!("a machine has at most {MOUNTS} mounts")));
    }
    let target_path = target(&request.target_path)?;
    if machine.mounts.iter().any(|mount| mount.target_path == target_path) {
        return Err(Refusal::new(
            ErrorCode::Exists,
            format!("something is mounted at {target_path}"),
        ));
    }
    config_is_sound(request.kind, &request.config)?;
    let mount = Mount {
        id: id.clone(),
        kind: request.kind,
        target_path,
        read_only: request.read_only,
        config: request.config.clone().without_secret(),
        made_by: facts.operation.clone(),
        state: MountState::Pending,
        created_at: facts.now,
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CreateMount,
        resource_id: id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilCommit,
        prepare: vec![Step::KeepSecret {
            path: facts.settings.layout.mount_secret(&machine.id, &mount.made_by),
            secret: request.config.secret_access_key.clone(),
        }],
        commit: Change::MountAdded { machine: machine.id.clone(), mount: Box::new(mount) },
        finish: vec![],
    })
}

/// Takes a mount away. The caller has seen to those that are not there.
pub fn delete(machine: &Machine, mount: &Mount, facts: &Facts<'_>) -> Plan {
    let run = match &machine.phase {
        Phase::Running { run } => Some(run),
        Phase::Starting { .. } | Phase::Stopped { .. } | Phase::Failed { .. } => None,
    };
    let unmount = run.map(|run| Step::Unmount {
        launch: run.launch.clone(),
        mount: mount.id.clone(),
        deadline_ms: UNMOUNT_MS,
    });
    let forget = Step::ForgetSecret {
        path: facts.settings.layout.mount_secret(&machine.id, &mount.made_by),
    };
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::DeleteMount,
        resource_id: mount.id.to_string(),
        claims: vec![Claim::machine(&machine.id)],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::MountRemoved { machine: machine.id.clone(), mount: mount.id.clone() },
        finish: unmount.into_iter().chain([forget]).collect(),
    }
}

/// The mount of a machine.
pub fn find<'a>(machine: &'a Machine, id: &MountId) -> Option<&'a Mount> {
    machine.mounts.iter().find(|mount| mount.id == *id)
}

/// An absolute path in one of the directories that are nobody's but the user's, without `.`, `..` and double slashes.
fn target(text: &str) -> Result<String, Refusal> {
    let is_text = text.len() <= TEXT_BYTES && !text.chars().any(char::is_control);
    let parts: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let is_inside = parts.first().is_some_and(|top| TOPS.contains(top));
    if !is_text || !text.starts_with('/') || parts.contains(&"..") || parts.len() < 2 || !is_inside
    {
        return Err(refused(format!(
            "target_path is absolute, without `..`, and beneath one of /{}",
            TOPS.join(" /")
        )));
    }
    Ok(format!("/{}", parts.join("/")))
}

fn config_is_sound(kind: MountKind, config: &MountConfig) -> Result<(), Refusal> {
    let texts = [
        &config.bucket,
        &config.endpoint,
        &config.region,
        &config.access_key_id,
        &config.vfs_cache_mode,
    ];
    let is_line = |text: &str| text.len() <= TEXT_BYTES && !text.chars().any(char::is_control);
    if !texts.into_iter().all(|text| is_line(text)) || !is_line(config.secret_access_key.reveal()) {
        return Err(refused(format!("config has single lines of at most {TEXT_BYTES} bytes")));
    }
    let (needs_bucket, needs_endpoint) = match kind {
        MountKind::R2 => (true, true),
        MountKind::S3 | MountKind::Gcs => (true, false),
        MountKind::Webdav => (false, true),
    };
    if needs_bucket && config.bucket.is_empty() {
        return Err(refused("config.bucket is missing"));
    }
    if config.endpoint.is_empty() && needs_endpoint {
        return Err(refused("config.endpoint is missing"));
    }
    if !config.endpoint.is_empty() && !is_endpoint(&config.endpoint) {
        return Err(refused("config.endpoint is an http or https URL without user and password"));
    }
    if !config.vfs_cache_mode.is_empty() && !CACHE_MODES.contains(&config.vfs_cache_mode.as_str()) {
        return Err(refused(format!("config.vfs_cache_mode is one of {}", CACHE_MODES.join(", "))));
    }
    config.extra_flags.iter().try_for_each(|flag| flag_is_allowed(flag))
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// One argument, `--name` or `--name=value`, so that no value is taken for another flag.
fn flag_is_allowed(flag: &str) -> Result<(), Refusal> {
    let name = flag.strip_prefix("--").map(|rest| rest.split_once('=').unwrap_or((rest, "")));
    let is_allowed = name.is_some_and(|(name, value)| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
        FLAGS.contains(&name) && value.len() <= 64 && value.bytes().all(is_plain)
    });
    if is_allowed {
        return Ok(());
    }
    Err(refused(format!("extra_flags are --name or --name=value of: {}", FLAGS.join(", "))))
}

fn refused(reason: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::Refused, reason)
}
