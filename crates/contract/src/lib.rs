//! What callers may say to a host and what it answers.
//!
//! Everything that crosses the wire is declared here once: identifiers ([`id`]), one file of requests and answers per
//! resource, the error codes with their statuses ([`error`]), the table of endpoints from which router, client and
//! OpenAPI document derive ([`endpoint`]), and a typed client ([`client`]).
//!
//! Decoding is forgiving, since control planes in any language talk to us: unknown fields are ignored, and `null`, `""`,
//! `0` or an all-empty object in an optional field mean that the field is absent. Nothing here touches files, clocks or
//! randomness.

pub mod artifact;
pub mod chunked;
pub mod client;

pub mod digest;
pub mod endpoint;
pub mod error;
pub mod exec;
pub mod exec_session;
pub mod exec_stream;
pub mod file;
pub mod file_path;
pub mod file_stream;
pub mod fork;
pub mod guest;
pub mod health;
pub mod id;
pub mod lazy;
pub mod location;
pub mod machine;
pub mod mount;
pub mod openapi;
pub mod operation;
pub mod port;
pub mod published_port;
pub mod restore;
pub mod secret;
pub mod snapshot;
pub mod ssh_key;
pub mod storage;
pub mod tuning;
pub mod upload;
pub mod volume;

mod forgiving;

pub use artifact::{ArtifactId, ArtifactKind, SnapshotArtifact};
pub use digest::{PackId, Sha256Hex};
pub use error::{ErrorBody, ErrorCode};
pub use file_path::FilePath;
pub use id::{
    ExecSessionId, IdError, MachineId, MountId, OperationId, PublishedPortId, SnapshotId, VolumeId,
};
pub use location::{ArtifactUrl, PresignedUrl, WebhookUrl};
pub use secret::Secret;
pub use ssh_key::{AuthorizedKey, SshPublicKey};
