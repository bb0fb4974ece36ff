//! The chunked form of a snapshot: packs that many snapshots share, and a manifest that says where everything is.
//!
//! ```text
//! POST /snapshots/{id}/chunked         what is there already ->  the manifest and every pack, those to be sent marked
//! POST /snapshots/{id}/chunked/upload  a signed PUT for each  ->  sent; the manifest last
//! POST /snapshots/{id}/restore         the manifest and a signed GET for each pack
//! ```
//! An upload that broke off goes on by asking again: what has come to lie in the store meanwhile is among what is there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::{PackId, Sha256Hex};
use crate::forgiving;
use crate::id::SnapshotId;
use crate::location::PresignedUrl;
use crate::secret::Secret;

/// A request for the chunked form of a snapshot, which is made if there is none yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkSnapshotRequest {
    /// The packs that need not be sent, since they lie where the form is to lie.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub have: Vec<PackId>,
    /// The key of the tenant, 32 bytes in base64: the form is sealed with it. Never kept.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Secret::is_empty"
    )]
    pub key: Secret,
}

/// The chunked form of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkedForm {
    /// Of which snapshot.
    pub snapshot_id: SnapshotId,
    /// Its manifest, which names every chunk.
    pub manifest: ChunkedManifest,
    /// Every pack that it is made of, those of its parents too: no chain has to be followed.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub packs: Vec<ChunkedPack>,
    /// The size of the packs that were made for it.
    #[serde(default)]
    pub new_bytes: u64,
    /// By which name the tenant's key is known again, where the form is sealed.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub key_name: Option<String>,
}

/// The manifest of a chunked form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkedManifest {
    /// Its size.
    pub size_bytes: u64,
    /// Its digest, by which a restore knows it again.
    pub sha256_hex: Sha256Hex,
}

/// A pack of a chunked form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkedPack {
    /// Its name.
    pub pack_id: PackId,
    /// Its size.
    pub size_bytes: u64,
    /// Whether it is to be sent, since it was not among what is there.
    #[serde(default)]
    pub missing: bool,
}

/// The answer that holds a chunked form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkedFormAnswer {
    /// The form.
    pub form: ChunkedForm,
}

/// A request to send packs of a chunked form, and its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadChunkedRequest {
    /// The packs and where each goes.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub packs: Vec<PackUpload>,
    /// Where the manifest goes: sent when all packs have been.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub manifest_url: Option<PresignedUrl>,
}

/// Where one pack goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackUpload {
    /// Which pack.
    pub pack_id: PackId,
    /// By which URL it is put.
    pub upload_url: PresignedUrl,
}

/// The answer to a finished upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadChunkedAnswer {
    /// How many packs were sent.
    #[serde(default)]
    pub packs: u64,
    /// The size of all that was sent.
    #[serde(default)]
    pub sent_bytes: u64,
}

/// Where the chunked form of a snapshot is, for a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkedSource {
    /// By which URL the manifest is read.
    pub manifest_url: PresignedUrl,
    /// Its digest.
    pub manifest_sha256_hex: Sha256Hex,
    /// Every pack that it names.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub packs: Vec<PackDownload>,
    /// The key of the tenant, where the form is sealed. Never kept.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "Secret::is_empty"
    )]
    pub key: Secret,
}

/// Where one pack is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackDownload {
    /// Which pack.
    pub pack_id: PackId,
    /// By which URL it is read.
    pub download_url: PresignedUrl,
}

/// What a look at all chunks of this host found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckChunksAnswer {
    /// Packs that were read and hashed.
    #[serde(default)]
    pub packs: u64,
    /// Their size.
    #[serde(default)]
    pub bytes: u64,
    /// What is wrong, each naming its snapshot, pack or chunk.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub problems: Vec<String>,
}

/// What a collection took away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectChunksAnswer {
    /// Sets of packs that no snapshot needed.
    #[serde(default)]
    pub removed_sets: u64,
}
