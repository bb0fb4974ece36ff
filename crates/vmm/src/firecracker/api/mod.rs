//! Firecracker's API over its Unix socket: typed requests, a deadline for each, nothing retried.
//!
//! Names and shapes are those of Firecracker's OpenAPI document, against which a test checks every request and answer in use.

mod client;
mod error;
mod message;
mod request;

pub use client::Api;
pub use error::ApiError;
pub use message::{
    Action, Balloon, BootSource, Drive, Entropy, InstanceInfo, InstanceState, MachineConfig,
    MemoryBackend, MmdsConfig, NetworkInterface, RateLimiter, SnapshotCreate, SnapshotLoad,
    TokenBucket, VmState, VmmVersion, Vsock,
};
pub use request::Request;
