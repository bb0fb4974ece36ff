//! Mounts as people see them.

use std::fmt;

use contract::mount::{Mount, MountKind, MountStatus};
use serde::Serialize;

use crate::output::{properties, shown_time, table};

/// One mount, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownMount {
    pub(super) mount: Mount,
}

/// Mounts, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownMounts {
    pub(super) mounts: Vec<Mount>,
}

fn kind(mount: &Mount) -> String {
    let word = match mount.kind {
        MountKind::R2 => "r2",
        MountKind::S3 => "s3",
        MountKind::Gcs => "gcs",
        MountKind::Webdav => "webdav",
    };
    if mount.read_only { format!("{word}, read only") } else { word.to_owned() }
}

fn status(mount: &Mount) -> String {
    let word = match mount.status {
        MountStatus::Pending => "pending",
        MountStatus::Mounting => "mounting",
        MountStatus::Mounted => "mounted",
        MountStatus::Failed => "failed",
    };
    match mount.status_message.as_str() {
        "" => word.to_owned(),
        message => format!("{word}: {message}"),
    }
}

impl fmt::Display for ShownMount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mount = &self.mount;
        properties([
            ("Mount", Some(mount.id.to_string())),
            ("Machine", Some(mount.machine_id.to_string())),
            ("Kind", Some(kind(mount))),
            ("Bucket", Some(mount.config.bucket.clone())),
            ("Directory", Some(mount.target_path.clone())),
            ("Status", Some(status(mount))),
            ("Created", Some(shown_time(mount.created_at))),
        ])
        .fmt(formatter)
    }
}

impl fmt::Display for ShownMounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mounts.is_empty() {
            return formatter.write_str("no mounts: make one with `computer mount add`");
        }
        let mut table = table(["MOUNT", "KIND", "BUCKET", "DIRECTORY", "STATUS"]);
        for mount in &self.mounts {
            table.add_row([
                mount.id.to_string(),
                kind(mount),
                mount.config.bucket.clone(),
                mount.target_path.clone(),
                status(mount),
            ]);
        }
        table.fmt(formatter)
    }
}
