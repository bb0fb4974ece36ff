//! The router, built from the contract's table of endpoints.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use contract::ErrorCode;
use contract::endpoint::Endpoint;
use contract::endpoint::table as endpoint;

use super::api::Api;
use super::auth::{Token, require};
use super::error::Failure;
use super::{
    bytes, chunked, exec, files, filling, fork, host, machines, mounts, operations,
    published_ports, snapshots, storage, transfer, volumes,
};

/// The router under construction, and the names of what it serves.
struct Table {
    router: Router<Api>,
    served: Vec<&'static str>,
}

impl Table {
    /// Serves an endpoint at the method and path that the contract gives it.
    fn serve<E: Endpoint, H, T>(mut self, _endpoint: E, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let method = MethodFilter::try_from(E::METHOD).expect("methods of the table are standard");
        self.router = self.router.route(E::PATH, on(method, handler));
        self.served.push(E::NAME);
        self
    }
}

fn table() -> Table {
    Table { router: Router::new(), served: Vec::new() }
        .serve(endpoint::Health, host::health)
        .serve(endpoint::ReportStorage, storage::report)
        .serve(endpoint::CreateMachine, machines::create)
        .serve(endpoint::ListMachines, machines::list)
        .serve(endpoint::ShowMachine, machines::show)
        .serve(endpoint::DeleteMachine, machines::delete)
        .serve(endpoint::StartMachine, machines::start)
        .serve(endpoint::StopMachine, machines::stop)
        .serve(endpoint::ResizeMachine, machines::resize)
        .serve(endpoint::Exec, exec::exec)
        .serve(endpoint::ExecStream, exec::exec_stream)
        .serve(endpoint::ListExecSessions, exec::list)
        .serve(endpoint::EndExecSession, exec::end)
        .serve(endpoint::OpenExecRelay, exec::open_relay)
        .serve(endpoint::OperateOnFiles, files::operate)
        .serve(endpoint::ReadFile, files::read_content)
        .serve(endpoint::WriteFile, files::write_content)
        .serve(endpoint::ReadArchive, files::read_archive)
        .serve(endpoint::WriteArchive, files::write_archive)
        .serve(endpoint::WatchFiles, files::watch)
        .serve(endpoint::CreateSnapshot, snapshots::create)
        .serve(endpoint::ListMachineSnapshots, snapshots::list_of_machine)
        .serve(endpoint::ListSnapshots, snapshots::list)
        .serve(endpoint::ShowSnapshot, snapshots::show)
        .serve(endpoint::DeleteSnapshot, snapshots::delete)
        .serve(endpoint::UploadSnapshot, transfer::upload)
        .serve(endpoint::ChunkSnapshot, chunked::cut)
        .serve(endpoint::UploadChunked, chunked::upload)
        .serve(endpoint::CheckChunks, chunked::check)
        .serve(endpoint::CollectChunks, chunked::collect)
        .serve(endpoint::RestoreSnapshot, transfer::restore)
        .serve(endpoint::ForkMachine, fork::of_machine)
        .serve(endpoint::ForkSnapshot, fork::of_snapshot)
        .serve(endpoint::ReadArtifact, bytes::read)
        .serve(endpoint::ListVolumes, volumes::list)
        .serve(endpoint::CreateVolume, volumes::create)
        .serve(endpoint::ShowVolume, volumes::show)
        .serve(endpoint::DeleteVolume, volumes::delete)
        .serve(endpoint::GrowVolume, volumes::grow)
        .serve(endpoint::AttachVolume, volumes::attach)
        .serve(endpoint::DetachVolume, volumes::detach)
        .serve(endpoint::ListPublishedPorts, published_ports::list)
        .serve(endpoint::CreatePublishedPort, published_ports::create)
        .serve(endpoint::DeletePublishedPort, published_ports::delete)
        .serve(endpoint::ShowFilling, filling::show)
        .serve(endpoint::ListMounts, mounts::list)
        .serve(endpoint::CreateMount, mounts::create)
        .serve(endpoint::DeleteMount, mounts::delete)
        .serve(endpoint::ListOperations, operations::list)
        .serve(endpoint::ShowOperation, operations::show)
}

/// The router of the Unix socket.
pub fn local(api: Api) -> Router {
    table()
        .router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(api)
}

/// The same behind the token.
pub fn guarded(router: Router, token: Token) -> Router {
    router.layer(from_fn_with_state(token, require))
}

async fn no_such_path() -> Result<Response, Failure> {
    Err(Failure::new(ErrorCode::NotFound, "no such path"))
}

async fn no_such_method() -> Result<Response, Failure> {
    Err(Failure::new(ErrorCode::MethodNotAllowed, "this path does not take this method"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use contract::endpoint::ENDPOINTS;

    use super::*;

    #[test]
    fn every_endpoint_of_the_contract_is_served() {
        let served: BTreeSet<_> = table().served.into_iter().collect();
        let declared: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.name).collect();
        assert_eq!(served, declared);
    }
}
