//! Stores that the guest mounts.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::agent::machine::Machine;
use crate::agent::mounts::MountError;
use crate::proto::mounts::mounts_server::Mounts;
use crate::proto::mounts::{
    ListRequest, ListResponse, MountRequest, MountResponse, UnmountRequest, UnmountResponse,
};

/// Serves `Mounts`.
#[derive(Clone, Debug)]
pub(crate) struct MountsService {
    pub(crate) machine: Arc<Machine>,
}

#[tonic::async_trait]
impl Mounts for MountsService {
    async fn mount(
        &self,
        request: Request<MountRequest>,
    ) -> Result<Response<MountResponse>, Status> {
        let mounting = self.machine.mounts.mount(request.into_inner()).await;
        mounting.map_err(|error| status(&error))?;
        Ok(Response::new(MountResponse {}))
    }

    async fn unmount(
        &self,
        request: Request<UnmountRequest>,
    ) -> Result<Response<UnmountResponse>, Status> {
        let UnmountRequest { id, deadline_ms } = request.into_inner();
        self.machine.mounts.unmount(&id, Duration::from_millis(deadline_ms.into())).await;
        Ok(Response::new(UnmountResponse {}))
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        Ok(Response::new(ListResponse { mounts: self.machine.mounts.list() }))
    }
}

fn status(error: &MountError) -> Status {
    match error {
        MountError::Invalid(_) => super::invalid(error),
        MountError::Lacking(_) | MountError::TooMany => {
            Status::failed_precondition(super::chain(error))
        }
        MountError::File { .. }
        | MountError::Start(_)
        | MountError::Obscure(_)
        | MountError::Ended(_)
        | MountError::Deadline(_)
        | MountError::Unlistable(_) => Status::internal(super::chain(error)),
    }
}
