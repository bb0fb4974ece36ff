//! The command line of `computer setup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::byte_size::ByteSize;

/// Prepare this host.
#[derive(Debug, Clone, Args)]
pub struct SetupArguments {
    /// What to prepare.
    #[command(subcommand)]
    pub command: SetupCommand,
}

/// What can be prepared.
#[derive(Debug, Clone, Subcommand)]
pub enum SetupCommand {
    /// Make a file system that clones files in an instant (XFS in a sparse file) and mount it where computerd keeps its data. Needs root.
    ///
    /// May be repeated: what is there already stays.
    Storage(StorageArguments),
}

/// What storage to set up.
#[derive(Debug, Clone, Args)]
pub struct StorageArguments {
    /// The size of the new file system. The file takes up only what is written.
    #[arg(long, default_value = "20G")]
    pub size: ByteSize,
    /// The file that holds the file system.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/computer.xfs")]
    pub path: PathBuf,
    /// Where it is mounted: computerd's root directory.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/computer")]
    pub mount: PathBuf,
    /// Mount it again at every start of this host, by a line in /etc/fstab.
    #[arg(long)]
    pub persist: bool,
    /// Unmount it and delete the file with everything in it.
    #[arg(long, conflicts_with_all = ["size", "persist"])]
    pub remove: bool,
}
