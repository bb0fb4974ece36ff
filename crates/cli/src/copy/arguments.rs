//! The command line of `computer cp`.

use clap::Args;

use super::place::Place;

/// What to copy where.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer cp notes.txt box:                     into the workspace of the machine
  computer cp box:notes.txt .                    and out of it again
  computer cp src box:project                    a directory: into project where that is one, else as it
  tar c src | computer cp - box:project          an archive from a pipe, unpacked into project
  computer cp box:project - | tar t              an archive of what project holds

Paths in a machine are under /home/node/workspace. A local name with a colon is written ./like:this.")]
pub(crate) struct CopyArguments {
    /// What: a path, MACHINE:PATH, or - for a tar archive on standard input.
    #[arg(value_name = "FROM")]
    pub(crate) from: Place,
    /// Where to: a path, MACHINE:PATH, or - for a tar archive on standard output.
    #[arg(value_name = "TO")]
    pub(crate) to: Place,
}
