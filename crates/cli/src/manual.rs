//! What the command line says about itself: completions and manual pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::error::CliError;

/// Which completions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  computer completions bash | sudo tee /etc/bash_completion.d/computer")]
pub(crate) struct CompletionsArguments {
    /// For which shell.
    pub(crate) shell: Shell,
}

/// Where manual pages go.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  sudo computer manual /usr/local/share/man/man1")]
pub(crate) struct ManualArguments {
    /// The directory to write the pages to.
    pub(crate) directory: PathBuf,
}

/// Prints completions.
pub(crate) fn complete(arguments: &CompletionsArguments) {
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "computer",
        &mut io::stdout(),
    );
}

/// Writes a manual page for each command.
pub(crate) fn write(arguments: &ManualArguments) -> Result<(), CliError> {
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), directory))
        .map_err(|source| CliError::WriteFile { path: directory.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_manual_page() {
        let directory = tempfile::tempdir().unwrap();
        write(&ManualArguments { directory: directory.path().to_owned() }).unwrap();
        for page in ["computer.1", "computer-create.1", "computer-snapshot-restore.1"] {
            assert!(directory.path().join(page).is_file(), "{page}");
        }
    }
}
