//! Snapshot bytes: digests, manifest, sealing, transfer through pre-signed URLs.
//!
//! This crate knows files and object stores, and nothing of machines. What a snapshot was taken of
//! travels through it as an opaque `Origin` that the caller defines.
//!
//! ```text
//!   scratch files --seal_directory--> FileEntry, SealedIdentity --> Manifest --write_manifest-->
//!                 --publish--> snapshots/<id>/
//!   snapshots/<id>/*  --TransferClient::upload-->   pre-signed PUTs  coverage checked, parts kept
//!   pre-signed GETs   --TransferClient::download--> <target>.part    each chunk verified, then
//!                                                                    written --rename--> <target>
//!   snapshots/<id>/*  --chunked::write_form-->      <set>/chunked.json, <set>/<pack>.pack
//!   packs, manifest   --chunked::FormReader-->      each chunk verified, then written
//! ```
//!
//! # Where things are
//! - [`chunked`]: the deduplicated, compressed, optionally sealed form of a snapshot. Blocks.
//! - [`files`]: durable writes, [`clone_file`](files::clone_file), [`publish`](files::publish),
//!   [`sha256_file`](files::sha256_file) and [`supports_reflink`](files::supports_reflink). All of
//!   it blocks: call it on the blocking pool.
//! - [`manifest`]: the versioned, strict manifest of a snapshot.
//! - [`seal`]: makes files immutable, says what is in them, and checks later that they are still
//!   the ones. Blocks too.
//! - [`transfer`]: upload, verified download and artifact fetch, all async, all bounded by
//!   [`TransferLimits`].
//!
//! # What callers may rely on
//! - A file under its final name holds verified bytes only, and is synced with its directory unless
//!   the caller says that it is [`Transient`](transfer::Durability::Transient).
//! - A URL's query string never reaches an error, a log or a `Debug` output ([`SecretUrl`]).
//! - Every error says by [`TransferError::kind`] whose fault it is, so that a caller never reads
//!   its text.
//! - Blocking work takes a [`CancellationToken`](tokio_util::sync::CancellationToken); an async
//!   call is cancelled by dropping it, and then ends every task and every read it began.

pub mod chunked;
pub mod digest;
pub mod files;
pub mod limits;
pub mod manifest;
pub mod names;
pub mod seal;
pub mod transfer;

pub use digest::{Blake3Digest, PackId, Sha256Digest};
pub use limits::{ChunkedLimits, ManifestLimits, RetryPolicy, SealLimits, TransferLimits};
pub use manifest::{ChunkMap, FileEntry, Manifest, ManifestError};
pub use names::{ArtifactId, FileName};
pub use seal::{SealError, SealSpec, SealedFile, SealedIdentity, VerifyError};
pub use transfer::{SecretUrl, TransferClient, TransferError, TransferErrorKind};
