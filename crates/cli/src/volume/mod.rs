//! `computer volume`: disks with a life of their own.

mod arguments;
mod shown;

use clap::{Args, Subcommand};
use contract::client::Client;
use contract::id::VolumeId;
use contract::volume::{
    AttachVolumeRequest, CreateVolumeRequest, DetachVolumeRequest, GrowVolumeRequest, Volume,
};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::progress::Progress;

use arguments::{
    AttachVolumeArguments, DeleteVolumesArguments, DetachVolumeArguments, SizeArguments,
    VolumeIdArguments,
};
use shown::{ShownVolume, ShownVolumes};

const FINDING: &str = "\
In the guest a volume is mounted at /volumes/<label>, where the label is the first 16 characters of its id.
Its device is /dev/vdb for the first volume of a machine, /dev/vdc for the second, and so on.";

/// What to do with volumes.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = FINDING)]
pub(crate) struct VolumeArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: VolumeCommand,
}

/// What can be done with volumes.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum VolumeCommand {
    /// Make an empty volume with an ext4 file system on it.
    Create(SizeArguments),
    /// List volumes.
    #[command(visible_alias = "ls")]
    List,
    /// Show a volume.
    Show(VolumeIdArguments),
    /// Make a volume larger, also while its machine runs.
    Grow(SizeArguments),
    /// Attach a volume to a machine that is stopped, or that may be restarted.
    Attach(AttachVolumeArguments),
    /// Take a volume from a machine that is stopped, or that may be restarted.
    Detach(DetachVolumeArguments),
    /// Delete volumes that no machine has, with all that is on them.
    #[command(visible_alias = "rm")]
    Delete(DeleteVolumesArguments),
}

/// The volumes that are gone now.
#[derive(Debug, Serialize)]
struct DeletedVolumes {
    deleted: Vec<VolumeId>,
}

/// Does what the arguments ask and prints the answer.
pub(crate) async fn run(
    client: &Client,
    arguments: VolumeArguments,
    output: Output,
) -> Result<(), CliError> {
    let volume = match arguments.command {
        VolumeCommand::List => {
            let volumes = client.list_volumes().await?;
            return output.print(&ShownVolumes { volumes });
        }
        VolumeCommand::Delete(arguments) => {
            for volume in &arguments.volumes {
                client.delete_volume(volume).await?;
            }
            return output.print(&DeletedVolumes { deleted: arguments.volumes });
        }
        VolumeCommand::Show(arguments) => client.show_volume(&arguments.volume).await?,
        VolumeCommand::Create(arguments) => {
            let size_bytes = arguments.size.bytes();
            let request = CreateVolumeRequest { volume_id: arguments.volume, size_bytes };
            client.create_volume(&request).await?
        }
        VolumeCommand::Grow(arguments) => {
            let request = GrowVolumeRequest { size_bytes: arguments.size.bytes() };
            client.grow_volume(&arguments.volume, &request).await?
        }
        VolumeCommand::Attach(arguments) => attach(client, arguments).await?,
        VolumeCommand::Detach(arguments) => {
            let _progress = Progress::start(format!("detaching volume {}", arguments.volume));
            let request = DetachVolumeRequest { restart: arguments.restart };
            client.detach_volume(&arguments.volume, &request).await?
        }
    };
    output.print(&ShownVolume { volume })
}

async fn attach(client: &Client, arguments: AttachVolumeArguments) -> Result<Volume, CliError> {
    let AttachVolumeArguments { volume, machine, restart } = arguments;
    let _progress = Progress::start(format!("attaching volume {volume} to machine {machine}"));
    let request = AttachVolumeRequest { machine_id: machine, restart };
    Ok(client.attach_volume(&volume, &request).await?)
}

impl std::fmt::Display for DeletedVolumes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.deleted.iter().try_for_each(|volume| writeln!(formatter, "deleted volume {volume}"))
    }
}
