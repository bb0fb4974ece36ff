//! Mounts: buckets that a guest sees as directories.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{MachineId, MountId};
use crate::secret::Secret;

/// What kind of store is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// Cloudflare R2.
    R2,
    /// Amazon S3 or what speaks as it does.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// WebDAV.
    Webdav,
}

/// How far a mount has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MountStatus {
    /// It waits for its machine to run.
    Pending,
    /// The guest is mounting it.
    Mounting,
    /// The guest sees it.
    Mounted,
    /// It did not work; `status_message` says why.
    Failed,
}

/// Where a store is and how it is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MountConfig {
    /// The bucket, or the path beneath the endpoint.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub bucket: String,
    /// The store's address.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub endpoint: String,
    /// The store's region.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub region: String,
    /// Who the guest is to the store.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub access_key_id: String,
    /// How it proves that; always `""` in answers.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub secret_access_key: Secret,
    /// How writes are cached.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub vfs_cache_mode: String,
    /// Further flags, each of which must be on the host's allow-list.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub extra_flags: Vec<String>,
}

impl MountConfig {
    /// The configuration as it may be answered: without the secret.
    #[must_use]
    pub fn without_secret(self) -> Self {
        Self { secret_access_key: Secret::default(), ..self }
    }
}

/// A request to mount a store in a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateMountRequest {
    /// The name of the mount, chosen by the caller.
    pub mount_id: MountId,
    /// What kind of store it is.
    pub kind: MountKind,
    /// The directory of the guest at which it appears.
    pub target_path: String,
    /// Whether the guest may only read.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub read_only: bool,
    /// Where the store is.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub config: MountConfig,
}

/// A mount as a host answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mount {
    /// Its name.
    pub id: MountId,
    /// Whose mount it is.
    pub machine_id: MachineId,
    /// What kind of store it is.
    pub kind: MountKind,
    /// The directory of the guest at which it appears.
    pub target_path: String,
    /// Whether the guest may only read.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub read_only: bool,
    /// Where the store is, without the secret.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub config: MountConfig,
    /// How far it has come.
    pub status: MountStatus,
    /// Why it failed; `""` where there is nothing to say.
    #[serde(default, deserialize_with = "forgiving::nullable")]
    pub status_message: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The answer that holds one mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MountAnswer {
    /// The mount.
    pub mount: Mount,
}

/// The answer that lists mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MountsAnswer {
    /// The mounts of the machine, oldest first.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub mounts: Vec<Mount>,
}
