//! The gRPC server, and the listeners that feed it.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::listen::{
    Connection, PENDING_CONNECTIONS, listen_unix, listen_unix_framed, listen_vsock, serve_port,
};
use super::machine::Machine;
use super::options::Options;
use super::services::{ControlService, FilesService, MountsService, SessionsService};
use crate::framing::Presence;
use crate::limits;
use crate::proto::control_server::ControlServer;
use crate::proto::files::files_server::FilesServer;
use crate::proto::mounts::mounts_server::MountsServer;
use crate::proto::sessions_server::SessionsServer;

/// Serves connections as they come; returns when no listener is left.
pub(super) async fn serve(
    machine: Arc<Machine>,
    connections: mpsc::Receiver<Connection>,
) -> Result<(), tonic::transport::Error> {
    let control = ControlServer::new(ControlService { machine: machine.clone() })
        .max_decoding_message_size(limits::MESSAGE_BYTES);
    let sessions = SessionsServer::new(SessionsService { machine: machine.clone() })
        .max_decoding_message_size(limits::MESSAGE_BYTES);
    let mounts = MountsServer::new(MountsService { machine: machine.clone() })
        .max_decoding_message_size(limits::MESSAGE_BYTES);
    let files = FilesServer::new(FilesService::new(machine))
        .max_decoding_message_size(limits::MESSAGE_BYTES);
    Server::builder()
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::CONCURRENT_STREAMS)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES)
        .add_service(control)
        .add_service(sessions)
        .add_service(files)
        .add_service(mounts)
        .serve_with_incoming(ReceiverStream::new(connections).map(Ok::<_, std::io::Error>))
        .await
}

/// Starts every listener of the options. Their tasks end with the set.
pub(super) fn listen(
    options: &Options,
    presence: &Presence,
) -> (JoinSet<()>, mpsc::Receiver<Connection>) {
    let (sender, connections) = mpsc::channel(PENDING_CONNECTIONS);
    let mut listeners = JoinSet::new();
    if let Some(name) = options.virtio_port.clone() {
        listeners.spawn(serve_port(name, sender.clone(), presence.clone()));
    }
    if let Some(port) = options.vsock_port {
        let listening = listen_vsock(port, sender.clone(), presence.clone());
        listeners.spawn(async move { report("vsock", listening.await) });
    }
    if let Some(path) = options.listen_unix.clone() {
        let (sender, presence) = (sender.clone(), presence.clone());
        listeners.spawn(async move { report("unix", listen_unix(&path, sender, presence).await) });
    }
    if let Some(path) = options.listen_unix_framed.clone() {
        let (sender, presence) = (sender.clone(), presence.clone());
        listeners.spawn(async move {
            report("unix, framed", listen_unix_framed(&path, sender, presence).await);
        });
    }
    (listeners, connections)
}

fn report(listener: &'static str, outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, listener, "could not listen");
    }
}
