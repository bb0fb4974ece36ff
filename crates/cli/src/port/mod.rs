//! `computer port`: publish ports of machines, on ports of this host.

mod publish;
mod shown;

use clap::{Args, Subcommand};
use contract::client::Client;
use contract::id::{MachineId, PublishedPortId};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;

use publish::PublishArguments;
use shown::ShownPorts;

/// What to do with ports.
#[derive(Debug, Clone, Args)]
pub(crate) struct PortArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PortCommand,
}

/// What can be done with ports.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum PortCommand {
    /// Publish a port of a machine: a port of this host leads to it from now on.
    Publish(PublishArguments),
    /// List the published ports of a machine.
    #[command(visible_alias = "ls")]
    List(ListPortsArguments),
    /// Take published ports back; their connections end.
    #[command(visible_alias = "rm")]
    Remove(RemovePortsArguments),
}

/// Whose ports to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListPortsArguments {
    /// The machine.
    pub(crate) machine: MachineId,
}

/// Which ports to take back.
#[derive(Debug, Clone, Args)]
pub(crate) struct RemovePortsArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The ids of the published ports.
    #[arg(required = true)]
    pub(crate) ports: Vec<PublishedPortId>,
}

/// The published ports that are gone now.
#[derive(Debug, Serialize)]
struct RemovedPorts {
    removed: Vec<PublishedPortId>,
}

/// Does what the arguments ask and prints the answer.
pub(crate) async fn run(
    client: &Client,
    arguments: PortArguments,
    output: Output,
) -> Result<(), CliError> {
    match arguments.command {
        PortCommand::Publish(arguments) => {
            output.print(&publish::publish(client, arguments).await?)
        }
        PortCommand::List(arguments) => {
            let ports = client.list_published_ports(&arguments.machine).await?;
            output.print(&ShownPorts { ports })
        }
        PortCommand::Remove(arguments) => {
            for port in &arguments.ports {
                client.remove_published_port(&arguments.machine, port).await?;
            }
            output.print(&RemovedPorts { removed: arguments.ports })
        }
    }
}

impl std::fmt::Display for RemovedPorts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.removed
            .iter()
            .try_for_each(|port| writeln!(formatter, "removed published port {port}"))
    }
}
