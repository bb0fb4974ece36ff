//! The command line of `computer doctor`.

use std::path::PathBuf;

use clap::Args;

/// Check whether this host can run machines, and say how to mend what it lacks.
///
/// Where a daemon answers and an image is there, a small machine is booted, runs a command and is deleted again.
///
/// The exit code is 1 when something is missing that machines cannot do without.
#[derive(Debug, Clone, Args)]
pub struct DoctorArguments {
    /// The directory where computerd keeps its data.
    #[arg(
        long,
        value_name = "DIR",
        env = "COMPUTER_ROOT_DIR",
        default_value = "/var/lib/computer"
    )]
    pub root_dir: PathBuf,
    /// The directory of images [default: `images` in the root directory].
    #[arg(long, value_name = "DIR", env = "COMPUTER_IMAGE_DIR")]
    pub image_dir: Option<PathBuf>,
    /// Boot no machine.
    #[arg(long)]
    pub no_probe: bool,
}
