//! Sealing: files become root-owned, 0444 and synced, and it is written down what is in them and
//! which inodes they are.
//!
//! ```text
//!   seal_directory:  open -> own, 0444, fsync -> identity -> hash chunks -> identity again
//!   verify_identity: is it the very inode that was sealed? Microseconds, before a local restore.
//!   verify_full:     does it hold the bytes that were sealed? For a scrub, or `verify: "full"`.
//! ```
//! Everything here blocks; an async caller runs it on the blocking pool.

mod directory;
mod hash;
mod identity;
mod manifest;
mod verify;

pub use directory::{SealError, SealSpec, SealedFile, seal_directory};
pub use identity::{IdentityDifference, SealedIdentity};
pub use manifest::{ManifestFileError, WrittenManifest, read_manifest, write_manifest};
pub use verify::{VerifyError, verify_full, verify_identity};

pub(crate) use hash::{FileToHash, HashError, hash_data_chunks};
