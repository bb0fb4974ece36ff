//! Sealing: files become root-owned, 0444 and synced, and it is written down what is in them and which inodes they are.
//!
//! ```text
//!   seal_directory:  open -> own, 0444, fsync -> identity -> hash chunks -> identity again -> fsync directory
//!   verify_identity: is this the very inode that was sealed?           microseconds, before every local restore
//!   verify_full:     does it still hold the bytes that were sealed?    a scrub, or `verify: "full"`
//! ```
//! Everything here blocks; an async caller runs it on the blocking pool.

mod directory;
mod hash;
mod identity;
mod manifest;
mod verify;

pub use directory::{SealError, SealSpec, SealedFile, seal_directory};
pub use identity::{IdentityDifference, SealedIdentity};
pub use manifest::{WriteManifestError, WrittenManifest, write_manifest};
pub use verify::{VerifyError, verify_full, verify_identity};

pub(crate) use hash::{FileToHash, HashError, hash_data_chunks};
