//! What is to be filled: written by the daemon, read strictly by supervisor and server.

use std::fmt;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use chunks::{ArtifactId, PackId};
use serde::{Deserialize, Serialize};

use crate::order::Touch;

/// The version of this format.
pub const VERSION: u32 = 1;

/// The file of a job, in its directory. Root's alone: it holds signed URLs.
pub const FILE_NAME: &str = "job.json";

/// The directory, in that of the job, on which the file system is mounted.
pub const MOUNT_NAME: &str = "files";

/// Largest job read: signed URLs of 2 KiB for the packs of 100 GiB.
const MAXIMUM_BYTES: u64 = 48 * 1024 * 1024;

/// What is filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillJob {
    /// [`VERSION`].
    pub version: u32,
    /// The uid and gid of the server. Never 0, and nobody else's.
    pub server_uid: u32,
    /// The uid and gid that the files show.
    pub owner: u32,
    /// Longest wait of a guest for one chunk, all retries included, in ms. Then its VMM is ended.
    pub fault_deadline_ms: u64,
    /// The control group that is killed when a chunk cannot be had.
    pub vmm_cgroup: Utf8PathBuf,
    /// Where a signed URL is asked for anew, when one is refused.
    pub renewal_url: Option<SecretText>,
    /// The document that says in which packs the chunks of the files are. Verified before the job was written.
    pub document: Utf8PathBuf,
    /// Where its packs are.
    pub packs: Vec<JobPack>,
    /// The files, by their place: [`Touch::file`] counts them.
    pub files: Vec<JobFile>,
    /// First touches of an earlier run, in order: fetched first.
    pub prefetch: Vec<Touch>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// Its name in the file system.
    pub name: String,
    /// Where it lies, sparse at first.
    pub path: Utf8PathBuf,
    /// Its size, at least that of the artifact; what lies beyond is zeros.
    pub size_bytes: u64,
    /// Which of the document's files it is.
    pub artifact: ArtifactId,
}

/// Where a pack is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPack {
    /// Which pack.
    pub pack: PackId,
    /// Its signed GET.
    pub url: SecretText,
}

/// Text that is not shown, such as a signed URL.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText")
    }
}

impl FillJob {
    /// Writes the job into its directory, durably, and readable by root only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, dir: &Utf8Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        chunks::files::write_file(&dir.join(FILE_NAME), &bytes, 0o400).map_err(io::Error::other)
    }

    /// Reads it again.
    ///
    /// # Errors
    /// When it is absent, too large, or not understood whole.
    pub fn read(dir: &Utf8Path) -> io::Result<Self> {
        let path = dir.join(FILE_NAME);
        if std::fs::metadata(&path)?.len() > MAXIMUM_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the job is too large"));
        }
        Self::decode(&std::fs::read(&path)?)
    }

    /// Reads a job from its bytes.
    ///
    /// # Errors
    /// When it is not understood whole.
    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        let job: Self = serde_json::from_slice(bytes)?;
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if job.version != VERSION {
            return invalid("the job has another version");
        }
        if job.server_uid == 0 || job.server_uid == job.owner {
            return invalid("the server needs a uid of its own");
        }
        Ok(job)
    }
}
