//! Calls about stores that the guest mounts.

use std::time::Duration;

use super::core::{Call, Client};
use super::error::ClientError;
use crate::proto::mounts::{ListRequest, MountReport, MountRequest, UnmountRequest};

/// How much sooner than its call a guest gives up writing back.
const GRACE: Duration = Duration::from_secs(8);

impl Client {
    /// Begins to mount a store.
    ///
    /// # Errors
    /// As for every call; `FailedPrecondition` when the image lacks what is needed.
    pub async fn mount(
        &self,
        request: MountRequest,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("mount", deadline);
        let mut mounts = self.mounts_service(&call).await?;
        call.answer(mounts.mount(request)).await.map(drop)
    }

    /// Takes a mount away, what was written uploaded first as far as `deadline` lets it.
    ///
    /// # Errors
    /// As for every call.
    pub async fn unmount(&self, id: &str, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("unmount", deadline + GRACE);
        let mut mounts = self.mounts_service(&call).await?;
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let request = UnmountRequest { id: id.to_owned(), deadline_ms };
        call.answer(mounts.unmount(request)).await.map(drop)
    }

    /// All mounts and how far they came.
    ///
    /// # Errors
    /// As for every call.
    pub async fn mounts(&self, deadline: Duration) -> Result<Vec<MountReport>, ClientError> {
        let call = Call::new("list mounts", deadline);
        let mut mounts = self.mounts_service(&call).await?;
        Ok(call.answer(mounts.list(ListRequest {})).await?.into_inner().mounts)
    }
}
