//! The files of a snapshot. Kind and file name follow from the id, so neither is ever taken from a request (promise P1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::digest::Sha256Hex;
use crate::forgiving;
use crate::id::IdError;
use crate::location::PresignedUrl;

/// Names one file of a snapshot: `memory`, `vmstate`, `disk-system`, `disk-user-<n>` or `manifest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ArtifactId {
    /// The guest's memory.
    Memory,
    /// The state of its devices.
    VmState,
    /// Its system disk.
    DiskSystem,
    /// One of its further disks.
    DiskUser(u32),
    /// What the others are and how to verify them.
    Manifest,
}

impl ArtifactId {
    /// What kind of file this is.
    #[must_use]
    pub fn kind(self) -> ArtifactKind {
        match self {
            Self::Memory => ArtifactKind::Memory,
            Self::VmState => ArtifactKind::VmState,
            Self::DiskSystem | Self::DiskUser(_) => ArtifactKind::Disk,
            Self::Manifest => ArtifactKind::Manifest,
        }
    }

    /// The name of the file, in the directory of a snapshot and on the wire.
    #[must_use]
    pub fn file_name(self) -> String {
        match self {
            Self::Memory => "memory.bin".to_owned(),
            Self::VmState => "vmstate.bin".to_owned(),
            Self::DiskSystem => "system.img".to_owned(),
            Self::DiskUser(number) => format!("user-{number}.img"),
            Self::Manifest => "manifest.json".to_owned(),
        }
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => formatter.write_str("memory"),
            Self::VmState => formatter.write_str("vmstate"),
            Self::DiskSystem => formatter.write_str("disk-system"),
            Self::DiskUser(number) => write!(formatter, "disk-user-{number}"),
            Self::Manifest => formatter.write_str("manifest"),
        }
    }
}

impl FromStr for ArtifactId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = match text {
            "memory" => Some(Self::Memory),
            "vmstate" => Some(Self::VmState),
            "disk-system" => Some(Self::DiskSystem),
            "manifest" => Some(Self::Manifest),
            other => other
                .strip_prefix("disk-user-")
                .and_then(|digits| digits.parse().ok())
                .map(Self::DiskUser),
        };
        // Written back, so that `+1` and `01` are no second names for `1`.
        id.filter(|id| id.to_string() == text).ok_or(IdError::new(
            "snapshot artifact id",
            "one of memory, vmstate, disk-system, disk-user-<number> and manifest",
        ))
    }
}

impl TryFrom<String> for ArtifactId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ArtifactId> for String {
    fn from(id: ArtifactId) -> String {
        id.to_string()
    }
}

impl PartialSchema for ArtifactId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(memory|vmstate|disk-system|disk-user-(0|[1-9][0-9]*)|manifest)$"))
            .description(Some("Names one file of a snapshot."))
            .into()
    }
}

impl ToSchema for ArtifactId {}

/// What kind of file an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// The guest's memory.
    Memory,
    /// The state of its devices.
    VmState,
    /// A disk.
    Disk,
    /// What the others are and how to verify them.
    Manifest,
}

/// One file of a snapshot. On the wire it also carries `kind` and `name`, which follow from `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireArtifact", into = "WireArtifact")]
pub struct SnapshotArtifact {
    /// Which file it is.
    pub id: ArtifactId,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest; absent until it is known.
    pub sha256_hex: Option<Sha256Hex>,
    /// Where an object store keeps it.
    pub object_key: Option<String>,
    /// By which URL it can be read.
    pub download_url: Option<PresignedUrl>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct WireArtifact {
    /// Which file it is.
    id: ArtifactId,
    /// What kind of file it is; follows from the id.
    #[serde(default, deserialize_with = "forgiving::optional")]
    #[schema(value_type = ArtifactKind)]
    kind: Option<ArtifactKind>,
    /// The name of the file; follows from the id.
    #[serde(default, deserialize_with = "forgiving::optional")]
    #[schema(value_type = String)]
    name: Option<String>,
    /// Its size.
    size_bytes: u64,
    /// Its digest; absent until it is known.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    sha256_hex: Option<Sha256Hex>,
    /// Where an object store keeps it.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    object_key: Option<String>,
    /// By which URL it can be read.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    download_url: Option<PresignedUrl>,
}

/// An artifact whose kind or name is not that of its id.
#[derive(Debug, thiserror::Error)]
#[error("artifact {id} has the kind {} and the name {}", .id.kind(), .id.file_name())]
struct ContradictionError {
    id: ArtifactId,
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::VmState => "vmstate",
            Self::Disk => "disk",
            Self::Manifest => "manifest",
        })
    }
}

impl TryFrom<WireArtifact> for SnapshotArtifact {
    type Error = ContradictionError;

    fn try_from(wire: WireArtifact) -> Result<Self, ContradictionError> {
        let WireArtifact { id, kind, name, size_bytes, sha256_hex, object_key, download_url } =
            wire;
        if kind.is_some_and(|kind| kind != id.kind())
            || name.is_some_and(|name| name != id.file_name())
        {
            return Err(ContradictionError { id });
        }
        Ok(Self { id, size_bytes, sha256_hex, object_key, download_url })
    }
}

impl From<SnapshotArtifact> for WireArtifact {
    fn from(artifact: SnapshotArtifact) -> Self {
        let SnapshotArtifact { id, size_bytes, sha256_hex, object_key, download_url } = artifact;
        let (kind, name) = (Some(id.kind()), Some(id.file_name()));
        Self { id, kind, name, size_bytes, sha256_hex, object_key, download_url }
    }
}

impl PartialSchema for SnapshotArtifact {
    fn schema() -> RefOr<Schema> {
        WireArtifact::schema()
    }
}

impl ToSchema for SnapshotArtifact {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        WireArtifact::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn artifact_ids_are_a_closed_set() {
        for id in ["memory", "vmstate", "disk-system", "disk-user-0", "disk-user-12", "manifest"] {
            assert_eq!(id.parse::<ArtifactId>().unwrap().to_string(), id);
        }
        for wrong in [
            "",
            "disk",
            "disk-user-",
            "disk-user-01",
            "disk-user-+1",
            "disk-user--1",
            "../memory",
            "Memory",
        ] {
            wrong.parse::<ArtifactId>().expect_err(wrong);
        }
    }

    #[test]
    fn an_artifact_says_kind_and_name_on_the_wire() {
        let artifact = SnapshotArtifact {
            id: ArtifactId::DiskUser(2),
            size_bytes: 0,
            sha256_hex: None,
            object_key: None,
            download_url: None,
        };
        let json =
            json!({"id": "disk-user-2", "kind": "disk", "name": "user-2.img", "size_bytes": 0});
        assert_eq!(serde_json::to_value(&artifact).unwrap(), json);
        assert_eq!(serde_json::from_value::<SnapshotArtifact>(json).unwrap(), artifact);
    }

    #[test]
    fn promise_p1_an_artifact_with_another_name_is_refused() {
        for wrong in [
            json!({"id": "memory", "kind": "memory", "name": "../../etc/passwd", "size_bytes": 1}),
            json!({"id": "memory", "kind": "disk", "name": "memory.bin", "size_bytes": 1}),
            json!({"id": "memory", "kind": "memory", "name": "memory.bin", "size_bytes": -1}),
        ] {
            serde_json::from_value::<SnapshotArtifact>(wrong).unwrap_err();
        }
        let bare =
            json!({"id": "memory", "kind": "", "name": null, "size_bytes": 1, "object_key": ""});
        assert_eq!(serde_json::from_value::<SnapshotArtifact>(bare).unwrap().object_key, None);
    }
}
