//! The half of `Chunks` that fills files while a guest already uses them.

use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::artifact::ArtifactId;
use contract::lazy::Touched;
use contract::{OperationId, PresignedUrl};
use serde::{Deserialize, Serialize};

use super::{PackPut, PortError};

/// A filling: the operation that began it names its processes, and its directory holds what they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillingPlace {
    /// The operation that began it.
    pub operation: OperationId,
    /// Its directory, within the machine's.
    pub dir: Utf8PathBuf,
}

impl FillingPlace {
    /// Where a file is seen while it is filled. `path` is where it will lie.
    pub fn shown(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.dir.join("files").join(path.file_name().unwrap_or_default())
    }
}

/// A file that is filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilledFile {
    /// Which artifact it is.
    pub artifact: ArtifactId,
    /// Where it lies, sparse at first; its file name is that under which it is shown.
    pub to: Utf8PathBuf,
    /// Its size, when that is larger than the artifact's.
    pub size_bytes: Option<u64>,
}

/// What is filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillRequest {
    /// Which filling.
    pub place: FillingPlace,
    /// The directory with the document that every chunk is verified against.
    pub document: Utf8PathBuf,
    /// Where the packs are that it names.
    pub packs: Vec<PackPut>,
    /// The files.
    pub files: Vec<FilledFile>,
    /// The uid and gid that the files have.
    pub owner: u32,
    /// The uid and gid of the process that serves them.
    pub server_uid: u32,
    /// Where an expired URL is asked for anew. A secret.
    pub renewal_url: Option<PresignedUrl>,
    /// First touches of an earlier restore, fetched in this order.
    pub working_set: Vec<Touched>,
}

/// How far a filling is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// Chunks are missing.
    Filling {
        /// Bytes still to be fetched; unknown at first.
        missing_bytes: Option<u64>,
    },
    /// The files are plain local files.
    Full,
    /// A chunk that the guest waited for could not be had, and its VMM was ended.
    Lost {
        /// Which, and why.
        reason: String,
    },
}

/// Files that are filled from the packs of a chunked form, verified chunk by chunk, while a guest uses them.
#[async_trait]
pub trait Filling: Send + Sync {
    /// Begins to fill, and answers once the files are shown. A pack without a URL is refused. On error nothing that matters is left but what
    /// [`Filling::end_filling`] removes.
    async fn start_filling(&self, request: &FillRequest) -> Result<(), PortError>;

    /// How far it is.
    async fn filling(&self, place: &FillingPlace) -> Result<Fill, PortError>;

    /// Waits until the files are full, and goes on with the filling where its processes are gone.
    async fn await_filled(&self, place: &FillingPlace, deadline: Duration)
    -> Result<(), PortError>;

    /// The order in which the guest touched chunks first, so far.
    async fn working_set(&self, place: &FillingPlace) -> Result<Vec<Touched>, PortError>;

    /// Ends its processes and takes the shown files away. Idempotent, also for one that never began.
    async fn end_filling(&self, place: &FillingPlace) -> Result<(), PortError>;

    /// Operations whose fillings have processes, for the sweep.
    async fn carried_fillings(&self) -> Result<Vec<OperationId>, PortError>;

    /// Ends the processes of a filling that nothing owns. Idempotent.
    async fn end_orphan_filling(&self, operation: &OperationId) -> Result<(), PortError>;
}
