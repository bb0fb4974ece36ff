//! The machine as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::{chain, invalid};
use crate::agent::clock;
use crate::agent::file_systems;
use crate::agent::foreseen::Foreseen;
use crate::agent::freezer::FreezeError;
use crate::agent::identity::IdentityError;
use crate::agent::info;
use crate::agent::machine::Machine;
use crate::agent::options::Role;
use crate::agent::renew::renew;
use crate::agent::shutdown::Order;
use crate::limits;
use crate::proto::control_server::Control;
use crate::proto::{
    ConfigureRequest, ConfigureResponse, FreezeRequest, FreezeResponse, GrowFileSystemsRequest,
    GrowFileSystemsResponse, HandshakeRequest, HandshakeResponse, InfoRequest, InfoResponse,
    RenewRequest, RenewResponse, ReseedRequest, ReseedResponse, SetClockRequest, SetClockResponse,
    ShutdownRequest, ShutdownResponse, ThawRequest, ThawResponse,
};
use crate::sys::entropy;

/// Serves `Control`.
#[derive(Clone, Debug)]
pub(crate) struct ControlService {
    pub(crate) machine: Arc<Machine>,
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn handshake(
        &self,
        _request: Request<HandshakeRequest>,
    ) -> Result<Response<HandshakeResponse>, Status> {
        Ok(Response::new(who_answers(&self.machine)))
    }

    async fn info(&self, _request: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(info::collect(&self.machine)))
    }

    async fn configure(
        &self,
        request: Request<ConfigureRequest>,
    ) -> Result<Response<ConfigureResponse>, Status> {
        let identity = request.into_inner().identity.unwrap_or_default();
        let machine = self.machine.clone();
        let report =
            to_the_end(async move { machine.identity_applier(None).apply(&identity).await })
                .await?;
        let report = report.map_err(|error| match error {
            IdentityError::Invalid { .. } => invalid(&error),
            _ => Status::internal(chain(&error)),
        })?;
        Ok(Response::new(ConfigureResponse { report: Some(report) }))
    }

    async fn set_clock(
        &self,
        request: Request<SetClockRequest>,
    ) -> Result<Response<SetClockResponse>, Status> {
        let stepped_ns = clock::set(request.into_inner().unix_time_ns)
            .map_err(|error| Status::internal(format!("set the clock: {error}")))?;
        Ok(Response::new(SetClockResponse { stepped_ns }))
    }

    async fn reseed(
        &self,
        request: Request<ReseedRequest>,
    ) -> Result<Response<ReseedResponse>, Status> {
        entropy::open()
            .and_then(|device| entropy::reseed(&device, &request.into_inner().seed))
            .map_err(|error| Status::internal(format!("reseed: {error}")))?;
        Ok(Response::new(ReseedResponse {}))
    }

    async fn freeze(
        &self,
        request: Request<FreezeRequest>,
    ) -> Result<Response<FreezeResponse>, Status> {
        let request = request.into_inner();
        if request.self_thaw_ms == 0 {
            return Err(Status::invalid_argument(
                "self_thaw_ms is 0: nothing stays frozen for ever",
            ));
        }
        let deadline = Duration::from_millis(request.deadline_ms.into());
        let self_thaw = Duration::from_millis(request.self_thaw_ms.into());
        let (took, freeze) =
            self.machine.freezer.freeze(deadline, self_thaw).await.map_err(freeze_status)?;
        let foreseen = Foreseen::look(&self.machine.places);
        self.machine.freezer.keep(freeze, foreseen).await;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Ok(Response::new(FreezeResponse { took_us }))
    }

    async fn thaw(&self, _request: Request<ThawRequest>) -> Result<Response<ThawResponse>, Status> {
        let frozen = self.machine.freezer.thaw().await.map_err(freeze_status)?;
        let frozen_ms = u64::try_from(frozen.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(ThawResponse { was_frozen: frozen.is_some(), frozen_ms }))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        let machine = self.machine.clone();
        let renewing = to_the_end(async move { renew(&machine, request.into_inner()).await });
        let renewed = renewing.await?.map_err(|error| {
            tracing::error!(error = chain(&error), "a renewal failed");
            Status::aborted(chain(&error))
        })?;
        let handshake = Some(who_answers(&self.machine));
        Ok(Response::new(RenewResponse { handshake, ..renewed }))
    }

    async fn grow_file_systems(
        &self,
        request: Request<GrowFileSystemsRequest>,
    ) -> Result<Response<GrowFileSystemsResponse>, Status> {
        let request = request.into_inner();
        let deadline = Duration::from_millis(request.deadline_ms.into());
        let growing = file_systems::await_size(request.disk, request.size_bytes);
        let grown = tokio::time::timeout(deadline, growing).await;
        grown
            .map_err(|_elapsed| Status::deadline_exceeded("the kernel sees no larger disk"))?
            .map_err(|error| Status::internal(format!("read the size of a disk: {error}")))?;
        let growing = tokio::task::spawn_blocking(file_systems::grow_all).await;
        let grown = growing.map_err(|_ended| Status::internal("the agent is ending"))?;
        let grown = grown.map_err(|error| Status::internal(format!("list mounts: {error}")))?;
        let file_systems = u32::try_from(grown).unwrap_or(u32::MAX);
        Ok(Response::new(GrowFileSystemsResponse { file_systems }))
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        if !self.machine.orders.is_possible() {
            return Err(Status::failed_precondition("this agent cannot shut its machine down"));
        }
        let request = request.into_inner();
        let grace = Duration::from_millis(request.grace_ms.into());
        self.machine.orders.give(Order { mode: request.mode(), grace });
        Ok(Response::new(ShutdownResponse {}))
    }
}

/// Runs on when the caller leaves: what changes the guest is never cut in half by a broken channel.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Status> {
    tokio::spawn(work).await.map_err(|_ended| Status::internal("the agent is ending"))
}

fn who_answers(machine: &Machine) -> HandshakeResponse {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    HandshakeResponse {
        protocol_version: limits::PROTOCOL_VERSION,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: boot_id.trim().to_owned(),
        capabilities: capabilities(machine),
        frozen: machine.freezer.is_frozen(),
        renewals: machine.renewals.load(Ordering::Relaxed),
    }
}

fn capabilities(machine: &Machine) -> Vec<String> {
    let all = [
        ("init", machine.role == Role::Init),
        ("freeze", machine.freezer.is_possible()),
        ("tty", true),
        ("sshd", crate::agent::ssh_keys::missing(&machine.places).is_none()),
        ("reseed", rustix::process::geteuid().is_root()),
        ("shutdown", machine.orders.is_possible()),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(word, _)| word.to_owned()).collect()
}

fn freeze_status(error: FreezeError) -> Status {
    match error {
        FreezeError::Impossible => Status::failed_precondition(chain(&error)),
        FreezeError::Deadline(_) => Status::deadline_exceeded(chain(&error)),
        FreezeError::Cgroup(_) | FreezeError::Ending => Status::internal(chain(&error)),
    }
}
