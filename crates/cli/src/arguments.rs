//! The command line of `computer`.

use clap::{Parser, Subcommand};

use crate::connection::ConnectionArguments;
use crate::copy::CopyArguments;
use crate::doctor::DoctorArguments;
use crate::exec::{
    AttachArguments, ExecArguments, RelayArguments, SessionsArguments, ShellArguments,
};
use crate::fork::ForkArguments;
use crate::image::ImageArguments;
use crate::machine::{
    CreateArguments, DeleteArguments, ListArguments, ResizeArguments, ShowArguments,
    StartArguments, StopArguments,
};
use crate::manual::{CompletionsArguments, ManualArguments};
use crate::mount::MountArguments;
use crate::operation::OperationsArguments;
use crate::port::PortArguments;
use crate::setup::SetupArguments;
use crate::snapshot::SnapshotArguments;
use crate::store::ChunkStoreArguments;
use crate::volume::VolumeArguments;
use crate::watch::WatchArguments;

const EXAMPLES: &str = "\
Examples:
  Build an image, make a computer of it, and look inside:
    sudo computer image build default
    computer create box
    computer exec box -- uname -a

  Keep it as it is now, in an object store, and go on from there on another host:
    computer snapshot create box --snapshot-id box.before
    computer snapshot upload box.before --bucket s3://backups/boxes
    computer snapshot restore --bucket s3://backups/boxes --snapshot-id box.before --machine-id box-2

Exit codes:
  0    done
  1    refused or failed; standard error says why
  2    the command line is wrong
  `computer exec`, `shell` and `attach` end as the command in the guest did, with 124 when its time ran out, and with 125
  when it could not be run or what became of it is not known.";

/// Computers on this machine: make them, use them, keep them, and go on from where they were.
///
/// Answers are tables for people, and JSON with --json or when standard output is not a terminal.
#[derive(Debug, Parser)]
#[command(name = "computer", version, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Answer in JSON, as the daemon does.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Which daemon.
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a machine and boot it.
    Create(Box<CreateArguments>),
    /// List the machines.
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Show a machine.
    Show(ShowArguments),
    /// Run a command in a machine.
    Exec(ExecArguments),
    /// Open a shell in a machine.
    Shell(ShellArguments),
    /// Go on with a command that was left running.
    Attach(AttachArguments),
    /// List the commands that run in a machine, or end one.
    Sessions(SessionsArguments),
    /// Open a port at which programs run commands in a machine.
    ExecRelay(RelayArguments),
    /// Copy files and directories into a machine and out of it.
    Cp(CopyArguments),
    /// Make machines that go on from where another is, or from a snapshot.
    Fork(Box<ForkArguments>),
    /// Tell of changes of files in a machine, as they happen.
    Watch(WatchArguments),
    /// Boot a stopped machine.
    Start(StartArguments),
    /// Stop a machine; its disk stays.
    Stop(StopArguments),
    /// Delete machines, with their disks.
    #[command(visible_alias = "rm")]
    Delete(DeleteArguments),
    /// Give a machine another size.
    Resize(ResizeArguments),
    /// Make, attach, grow and delete volumes: disks that outlive machines.
    Volume(VolumeArguments),
    /// Mount buckets in machines.
    Mount(MountArguments),
    /// Publish ports of machines on this host.
    Port(PortArguments),
    /// Take, move and restore snapshots.
    Snapshot(SnapshotArguments),
    /// Build, list and delete images.
    Image(ImageArguments),
    /// Say what takes how much room on this host.
    Storage,
    /// Look after the chunks of this host's snapshots.
    Store(ChunkStoreArguments),
    /// Prepare this host.
    Setup(SetupArguments),
    /// Say what this host lacks, and how to mend it.
    Doctor(DoctorArguments),
    /// Show what the daemon did and is doing.
    Operations(OperationsArguments),
    /// Print completions for a shell.
    Completions(CompletionsArguments),
    /// Write the manual pages.
    Manual(ManualArguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn promise_p11_no_token_is_taken_as_an_argument() {
        let tokens = ["--token", "--bearer-token", "--secret-access-key", "--access-key-id"];
        for option in tokens {
            Arguments::try_parse_from(["computer", "list", option, "x"]).unwrap_err();
        }
    }

    #[test]
    fn options_of_the_connection_stand_anywhere() {
        let arguments =
            Arguments::try_parse_from(["computer", "list", "--json", "--socket", "/s"]).unwrap();
        assert!(arguments.json);
        assert_eq!(arguments.connection.socket.unwrap().to_str(), Some("/s"));
    }
}
