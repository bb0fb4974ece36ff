//! The verbs for machines that are there.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::id::MachineId;
use contract::operation::{Wait, WaitQuery};
use serde::Serialize;

use super::shown::{ShownMachine, ShownMachines, running};
use crate::error::CliError;
use crate::progress::Progress;

/// How machines are listed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer list
  computer list --json | jq -r '.machines[] | select(.phase == \"failed\") | .id'")]
pub(crate) struct ListArguments {
    /// Only the names, one a line.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Which machine to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArguments {
    /// The machine.
    pub(crate) machine: MachineId,
}

/// Which machine to boot.
#[derive(Debug, Clone, Args)]
pub(crate) struct StartArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// How long to wait.
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
}

/// Which machine to stop.
#[derive(Debug, Clone, Args)]
pub(crate) struct StopArguments {
    /// The machine.
    pub(crate) machine: MachineId,
}

/// Which machines to delete.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  computer delete $(computer list --quiet)     all of them")]
pub(crate) struct DeleteArguments {
    /// The machines.
    #[arg(required = true)]
    pub(crate) machines: Vec<MachineId>,
}

/// How long to wait for a guest.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WaitArguments {
    /// Do not wait until the guest is ready.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

impl WaitArguments {
    /// The same for the daemon.
    pub(crate) fn query(self) -> WaitQuery {
        WaitQuery { wait: (!self.no_wait).then_some(Wait::Running) }
    }
}

/// Lists the machines.
pub(crate) async fn list(
    client: &Client,
    arguments: &ListArguments,
) -> Result<ShownMachines, CliError> {
    let machines = client.list_machines().await?;
    Ok(if arguments.quiet {
        ShownMachines::Names(machines)
    } else {
        ShownMachines::Table(machines)
    })
}

/// Shows a machine.
pub(crate) async fn show(
    client: &Client,
    arguments: &ShowArguments,
) -> Result<ShownMachine, CliError> {
    Ok(ShownMachine { machine: client.show_machine(&arguments.machine).await? })
}

/// Boots a machine and, unless told otherwise, waits until its guest is ready.
pub(crate) async fn start(
    client: &Client,
    arguments: &StartArguments,
) -> Result<ShownMachine, CliError> {
    let progress = Progress::start(format!("starting machine {}", arguments.machine));
    let machine = client.start_machine(&arguments.machine, &arguments.wait.query()).await?;
    drop(progress);
    running(machine)
}

/// Stops a machine.
pub(crate) async fn stop(
    client: &Client,
    arguments: &StopArguments,
) -> Result<ShownMachine, CliError> {
    let progress = Progress::start(format!("stopping machine {}", arguments.machine));
    client.stop_machine(&arguments.machine).await?;
    drop(progress);
    Ok(ShownMachine { machine: client.show_machine(&arguments.machine).await? })
}

/// The machines that are gone now.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedMachines {
    deleted: Vec<MachineId>,
}

/// Deletes machines, one after the other.
pub(crate) async fn delete(
    client: &Client,
    arguments: &DeleteArguments,
) -> Result<DeletedMachines, CliError> {
    let progress = Progress::start("");
    for machine in &arguments.machines {
        progress.say(format!("deleting machine {machine}"));
        client.delete_machine(machine).await?;
    }
    Ok(DeletedMachines { deleted: arguments.machines.clone() })
}

impl fmt::Display for DeletedMachines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.deleted {
            writeln!(formatter, "deleted machine {machine}")?;
        }
        Ok(())
    }
}
