//! `computer watch`: changes of files in a machine, as they happen.

use std::io;

use clap::Args;
use contract::client::Client;
use contract::file_stream::{FileChange, FileChangeEvent, FileQuery};

use crate::copy::Place;
use crate::error::CliError;
use crate::output::{Output, print};

/// Watch a directory of a machine and all beneath it.
///
/// It ends when the machine stops.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer watch box:
  computer watch box:src | jq --raw-output 'select(.change == \"created\").path'")]
pub(crate) struct WatchArguments {
    /// The directory, as MACHINE:PATH; relative paths are in the workspace.
    pub(crate) place: Place,
}

/// Prints a line for each change: JSON as the daemon sends it, or a word and a path.
pub(crate) async fn run(
    client: &Client,
    arguments: WatchArguments,
    output: Output,
) -> Result<(), CliError> {
    let Place::Machine(watched) = arguments.place else { return Err(CliError::NothingToWatch) };
    let query = FileQuery { path: watched.path };
    let mut changes = client.watch_files(&watched.machine, &query).await?;
    while let Some(event) = changes.next().await? {
        let Some(line) = line(&event, output)? else { continue };
        match print(&line) {
            // Whoever reads has enough.
            Err(CliError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            printed => printed?,
        }
    }
    Ok(())
}

/// For people, only what happened to files.
fn line(event: &FileChangeEvent, output: Output) -> Result<Option<String>, CliError> {
    if output == Output::Json {
        return serde_json::to_string(event).map(Some).map_err(CliError::PrintJson);
    }
    let word = match event.change {
        FileChange::Created => "created",
        FileChange::Modified => "modified",
        FileChange::Removed => "removed",
        FileChange::Overflowed => "overflowed",
        FileChange::Watching | FileChange::Quiet | FileChange::Ended => return Ok(None),
    };
    Ok(Some(format!("{word} {}", event.path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_changes_and_programs_see_all() {
        let event = |change| FileChangeEvent { change, path: "a file".into() };
        let shown = |change, output| line(&event(change), output).unwrap();
        assert_eq!(shown(FileChange::Modified, Output::Table).unwrap(), "modified a file");
        assert_eq!(shown(FileChange::Quiet, Output::Table), None);
        let json = shown(FileChange::Quiet, Output::Json).unwrap();
        assert_eq!(json, r#"{"change":"quiet","path":"a file"}"#);
    }
}
