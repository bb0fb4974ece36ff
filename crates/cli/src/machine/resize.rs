//! `computer resize`: another size for a machine.

use clap::Args;
use contract::client::Client;
use contract::id::MachineId;
use contract::machine::ResizeMachineRequest;

use super::shown::ShownMachine;
use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::progress::Progress;

const HELP: &str = "\
The system disk grows while the machine runs, and the guest's file system with it; it never shrinks.
Memory changes between two boots: a machine that runs is restarted for it, with --restart.";

/// Which size.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub(crate) struct ResizeArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// Its memory from now on, in whole MiB, such as 2G.
    #[arg(long, short, required_unless_present = "storage")]
    pub(crate) memory: Option<ByteSize>,
    /// The size of its system disk from now on, such as 20G.
    #[arg(long, short)]
    pub(crate) storage: Option<ByteSize>,
    /// Restart the machine for it if it runs and its VMM cannot do it meanwhile.
    #[arg(long)]
    pub(crate) restart: bool,
}

/// Gives a machine another size.
pub(crate) async fn resize(
    client: &Client,
    arguments: &ResizeArguments,
) -> Result<ShownMachine, CliError> {
    let _progress = Progress::start(format!("resizing machine {}", arguments.machine));
    let request = ResizeMachineRequest {
        memory_mib: arguments.memory.map(|size| size.bytes() >> 20),
        storage_bytes: arguments.storage.map(ByteSize::bytes),
        restart: arguments.restart,
    };
    Ok(ShownMachine { machine: client.resize_machine(&arguments.machine, &request).await? })
}
