//! The engine's ports over this host: files, artifacts, snapshot bytes, the agent. (Networking and the store have rooms of their own.)

mod artifacts;
mod chunk_words;
mod chunks;
pub(crate) mod command;
mod exec_token;
mod files;
mod filling;
mod form_transfer;
mod forms;
mod guest;
mod mounts;
mod new_disk;
mod owned_dir;
mod seal_record;
mod secrets;

pub use artifacts::{ArtifactCache, ArtifactError};
pub use chunks::HostChunks;
pub use exec_token::ExecTokens;
pub use files::HostFiles;
pub use filling::FillingGroups;
pub(crate) use filling::groups as filling_groups;
pub(crate) use forms::tenant_key;
pub use guest::HostGuest;

use engine::port::PortError;

/// Runs what blocks on the pool that may block.
async fn blocking<Output: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<Output, PortError> + Send + 'static,
) -> Result<Output, PortError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(PortError::internal(action, error)))
}
