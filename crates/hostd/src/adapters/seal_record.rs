//! `seal.json`: which inodes a published snapshot is made of, so that a restore can tell that each file is the very one that was sealed.

use camino::Utf8Path;
use chunks::seal::SealedIdentity;
use chunks::{ArtifactId, FileName};
use contract::Sha256Hex;
use engine::port::{Fault, PortError};
use serde::{Deserialize, Serialize};

/// The record's name in a snapshot's directory. It never leaves this host.
const NAME: &str = "seal.json";
const VERSION: u32 = 1;
/// A line per file; a megabyte is thousands.
const LIMIT_BYTES: u64 = 1 << 20;

/// A file and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealedName {
    /// Its artifact.
    pub(super) id: ArtifactId,
    /// Its name.
    pub(super) name: FileName,
    /// Its inode.
    pub(super) identity: SealedIdentity,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealRecord {
    version: u32,
    /// Digest of the manifest.
    pub(super) manifest_sha256: Sha256Hex,
    /// All files, without the manifest.
    pub(super) files: Vec<SealedName>,
}

impl SealRecord {
    pub(super) fn new(manifest_sha256: Sha256Hex, files: Vec<SealedName>) -> Self {
        Self { version: VERSION, manifest_sha256, files }
    }

    pub(super) fn write(&self, dir: &Utf8Path) -> Result<(), PortError> {
        let path = dir.join(NAME);
        let json = serde_json::to_vec(self)
            .map_err(|error| PortError::internal(format!("encode {path}"), error))?;
        chunks::files::write_file(&path, &json, 0o400)
            .map_err(|error| PortError::internal(format!("write {path}"), error))
    }

    /// Strict: what it does not understand it refuses.
    pub(super) fn read(dir: &Utf8Path) -> Result<Self, PortError> {
        use std::io::Read;
        let path = dir.join(NAME);
        let file = chunks::files::open_regular(&path)
            .map_err(|error| PortError::io(format!("open {path}"), error))?;
        let mut bytes = Vec::new();
        file.take(LIMIT_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| PortError::io(format!("read {path}"), error))?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| PortError {
            action: format!("understand {path}"),
            fault: Fault::Refused,
            source: Some(error.into()),
        })?;
        if record.version != VERSION {
            let action = format!("read {path} of version {}", record.version);
            return Err(PortError::plain(Fault::Refused, action));
        }
        Ok(record)
    }
}
