//! What can go wrong with the chunked form, always naming the pack or the chunk.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::document::DocumentError;
use super::key::KeyError;
use super::pack::PackProblem;
use crate::ArtifactId;
use crate::digest::{Blake3Digest, PackId};
use crate::files::DurableError;

/// In what a chunk is not the one that the document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkProblem {
    /// Its frame is no frame of ours, or of another length.
    #[error("its frame is not understood")]
    Frame,
    /// Its frame does not decompress to a chunk.
    #[error("its frame does not decompress")]
    Compression,
    /// The seal of its frame does not open with this key: other bytes, or another key.
    #[error("its seal does not open")]
    Seal,
    /// It has other bytes than were stored.
    #[error("its bytes are not those that were stored")]
    Content,
    /// The pack ends before it.
    #[error("its pack is too short")]
    Truncated,
    /// The document refers to what it does not hold.
    #[error("the document does not hold what it refers to")]
    Reference,
}

/// A chunked form that was not written, or must not be used.
#[derive(Debug, thiserror::Error)]
pub enum ChunkedError {
    /// The operating system refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file did not become durable.
    #[error("make the chunked form durable")]
    Durable(#[from] DurableError),
    /// A pack could not be read from where it is.
    #[error("read pack {pack}")]
    Source {
        /// Which pack.
        pack: PackId,
        /// Why not.
        source: io::Error,
    },
    /// A pack is not what its name says.
    #[error("pack {pack}: {problem}")]
    Pack {
        /// Which pack.
        pack: PackId,
        /// In what.
        problem: PackProblem,
    },
    /// A chunk is not what the document says.
    #[error("chunk {digest} in pack {pack} at byte {offset_bytes}: {problem}")]
    Chunk {
        /// Which chunk.
        digest: Blake3Digest,
        /// In which pack.
        pack: PackId,
        /// Where its frame begins.
        offset_bytes: u32,
        /// In what.
        problem: ChunkProblem,
    },
    /// The document is refused.
    #[error("the document of a chunked form is refused")]
    Document(#[from] DocumentError),
    /// The key is missing, wrong, or not needed.
    #[error("the key of a chunked form")]
    Key(#[from] KeyError),
    /// The document has no such file.
    #[error("the chunked form has no artifact {0}")]
    NoFile(ArtifactId),
    /// The compressor refused.
    #[error("compress a chunk")]
    Compress(#[source] io::Error),
    /// The caller cancelled.
    #[error("the work on the chunked form was cancelled")]
    Cancelled,
}

impl ChunkedError {
    /// Whether stored bytes are known to be bad, or the document is; false when they only could not be read.
    pub fn is_tampering(&self) -> bool {
        match self {
            Self::Pack { .. } | Self::Chunk { .. } | Self::Document(_) | Self::NoFile(_) => true,
            Self::Source { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Io { .. }
            | Self::Durable(_)
            | Self::Key(_)
            | Self::Compress(_)
            | Self::Cancelled => false,
        }
    }

    pub(super) fn io(
        operation: &'static str,
        path: &Utf8Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }
}
