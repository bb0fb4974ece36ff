//! Publishing a port.

use clap::Args;
use contract::client::Client;
use contract::id::{MachineId, PublishedPortId};
use contract::port::PortProtocol;
use contract::published_port::CreatePublishedPortRequest;

use super::shown::ShownPort;
use crate::error::CliError;

/// What to publish.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The port inside the machine.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// The id of the published port; `port-<port>` when it is not given.
    #[arg(long)]
    pub(crate) id: Option<PublishedPortId>,
    /// What people call it.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// It carries HTTP: the daemon's own listeners lead to it too, for hosts called `<name or port>--<machine>.<anything>`.
    #[arg(long)]
    pub(crate) http: bool,
}

/// Publishes it.
pub(super) async fn publish(
    client: &Client,
    arguments: PublishArguments,
) -> Result<ShownPort, CliError> {
    let PublishArguments { machine, port, id, name, http } = arguments;
    let published_port_id = id
        .unwrap_or_else(|| format!("port-{port}").parse().expect("a word and a number are an id"));
    let protocol = PortProtocol::Tcp;
    let request = CreatePublishedPortRequest { published_port_id, name, port, protocol, http };
    Ok(ShownPort { port: client.publish_port(&machine, &request).await? })
}
