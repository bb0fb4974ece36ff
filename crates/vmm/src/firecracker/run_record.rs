//! What a run is, written beside its logs when it is launched: a later daemon, with other binaries, still knows.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use contract::{OperationId, Sha256Hex};
use engine::record::Shape;
use serde::{Deserialize, Serialize};

use super::error::FirecrackerError;

/// The version of this format.
const FORMAT: u32 = 1;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRecord {
    format: u32,
    /// The operation that launched it.
    operation: OperationId,
    /// Firecracker's version.
    pub(super) vmm_version: String,
    /// SHA-256 of its binary.
    pub(super) vmm_sha256: Sha256Hex,
    /// The CPU template that its guest was booted with.
    pub(super) cpu_template: Option<String>,
    /// vCPUs and memory.
    pub(super) shape: Shape,
    /// Whether it began with a snapshot, so that Firecracker marks the pages that are written.
    pub(super) is_restored: bool,
}

impl RunRecord {
    pub(super) fn new(
        operation: &OperationId,
        (vmm_version, vmm_sha256): (String, Sha256Hex),
        cpu_template: Option<String>,
        shape: Shape,
        is_restored: bool,
    ) -> Self {
        let operation = operation.clone();
        Self {
            format: FORMAT,
            operation,
            vmm_version,
            vmm_sha256,
            cpu_template,
            shape,
            is_restored,
        }
    }

    /// Writes it in place of that of an earlier run.
    pub(super) fn write(&self, path: &Utf8Path) -> Result<(), FirecrackerError> {
        let written = || -> io::Result<()> {
            let text = serde_json::to_vec(self)?;
            let beside = path.with_extension("new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&text)?;
            fs::rename(&beside, path)
        };
        written().map_err(|source| FirecrackerError::File {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// Reads that of this run; any other is refused.
    pub(super) fn read(path: &Utf8Path, operation: &OperationId) -> Result<Self, FirecrackerError> {
        let read = || -> io::Result<Self> {
            let record: Self = serde_json::from_slice(&fs::read(path)?)?;
            if record.format != FORMAT || record.operation != *operation {
                return Err(io::Error::other("it is that of another run"));
            }
            Ok(record)
        };
        read().map_err(|source| FirecrackerError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })
    }
}
