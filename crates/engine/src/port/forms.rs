//! Chunked forms of snapshots: cutting, sending, fetching, looking.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::artifact::ArtifactId;
use contract::{OperationId, PackId, PresignedUrl, Secret, Sha256Hex, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::record::{ChunkedForm, Manifest};

use super::PortError;

/// A form that was made before: its chunks need not be written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownForm {
    /// Of which snapshot.
    pub snapshot: SnapshotId,
    /// The set that holds its document.
    pub set: OperationId,
    /// The other sets whose packs it is made of.
    pub needs: Vec<OperationId>,
}

/// A snapshot that is to be cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutJob {
    /// The sealed files, the manifest among them.
    pub dir: Utf8PathBuf,
    /// Which of them are cut.
    pub artifacts: Vec<ArtifactId>,
    /// The directory of this operation that becomes the set.
    pub into: Utf8PathBuf,
    /// Where all sets are.
    pub sets: Utf8PathBuf,
    /// What is known, the nearest first.
    pub known: Vec<KnownForm>,
    /// The tenant's key. Kept in memory alone: what is cut is not gone on with after a crash.
    #[serde(skip)]
    pub key: Secret,
}

/// A pack on its way to an object store or from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackPut {
    /// Which pack.
    pub pack: PackId,
    /// The pre-signed PUT or GET. A secret.
    pub url: PresignedUrl,
}

/// What is to be sent of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendJob {
    /// The set with the document.
    pub set: Utf8PathBuf,
    /// The other sets that hold packs of it.
    pub needs: Vec<Utf8PathBuf>,
    /// The packs.
    pub packs: Vec<PackPut>,
    /// Where the document goes, after them. A secret.
    pub document: Option<PresignedUrl>,
}

/// Where the document of a form is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormUrl {
    /// The pre-signed GET. A secret.
    pub url: PresignedUrl,
    /// Its digest.
    pub sha256: Sha256Hex,
    /// The tenant's key. Kept in memory alone.
    #[serde(skip)]
    pub key: Secret,
}

/// A file that is put together from packs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormTarget {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The directory with the document.
    pub document: Utf8PathBuf,
    /// The directory with the packs.
    pub packs: Utf8PathBuf,
    /// Where it goes.
    pub to: Utf8PathBuf,
    /// Grown to this when larger.
    pub size_bytes: Option<u64>,
    /// The uid and gid it is given to.
    pub owner: Option<u32>,
    /// The tenant's key. Kept in memory alone.
    #[serde(skip)]
    pub key: Secret,
}

/// A pack of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPack {
    /// Its name.
    pub pack: PackId,
    /// Its size.
    pub size_bytes: u64,
}

/// What a look at sets and forms found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkCheck {
    /// Packs that were hashed.
    pub packs: u64,
    /// Their size.
    pub bytes: u64,
    /// What is wrong, each naming pack or chunk.
    pub problems: Vec<String>,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// How many packs.
    pub packs: u64,
    /// The size of all of it.
    pub bytes: u64,
}

/// Chunked forms of snapshots. Whatever is read of them is verified before it is used.
#[async_trait]
pub trait Forms: Send + Sync {
    /// Cuts the sealed files into the directory of this operation; all of it is synced. What the commit records.
    async fn cut(&self, job: &CutJob, operation: &OperationId) -> Result<ChunkedForm, PortError>;

    /// The packs that the form in a set is made of.
    async fn form_packs(&self, set: &Utf8Path) -> Result<Vec<FormPack>, PortError>;

    /// Sends packs, in parallel within bounds, then the document. A pack that is not of the form is refused.
    async fn send_form(&self, job: &SendJob) -> Result<Sent, PortError>;

    /// The manifest of the raw files of a form; any other document than the one meant is refused.
    async fn fetch_form(&self, form: &FormUrl) -> Result<Manifest, PortError>;

    /// As [`Forms::fetch_form`], and keeps document and manifest in `dir`.
    async fn keep_form(&self, form: &FormUrl, dir: &Utf8Path) -> Result<(), PortError>;

    /// Fetches every pack that the document in `document` names into the new directory `to`, each verified. A pack
    /// without a URL is refused before anything is fetched.
    async fn fetch_packs(
        &self,
        document: &Utf8Path,
        packs: &[PackPut],
        to: &Utf8Path,
    ) -> Result<(), PortError>;

    /// Puts one file together, each chunk verified before it is written.
    async fn assemble(&self, target: &FormTarget) -> Result<(), PortError>;

    /// Hashes every pack of a set, and looks whether its form is whole, given the sets that it needs.
    async fn check_form(
        &self,
        set: &Utf8Path,
        needs: &[Utf8PathBuf],
    ) -> Result<ChunkCheck, PortError>;

    /// The operations whose sets lie in a directory.
    async fn sets_in(&self, sets: &Utf8Path) -> Result<Vec<OperationId>, PortError>;
}
