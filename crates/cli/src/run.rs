//! From a command line to an exit code.

use std::error::Error as _;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use contract::client::ClientError;

use crate::arguments::{Arguments, Command};
use crate::error::CliError;
use crate::output::Output;
use crate::{
    copy, doctor, exec, fork, image, machine, manual, mount, operation, port, setup, snapshot,
    storage, store, volume, watch,
};

/// The command failed.
const FAILED: u8 = 1;

/// Reads the command line of this process, does what it says, and tells what went wrong on standard error.
pub async fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let failed = match arguments.command {
        Command::Exec(_) | Command::Shell(_) | Command::Attach(_) => exec::FAILED,
        _ => FAILED,
    };
    match dispatch(arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("computer: {}", explain(&error));
            ExitCode::from(failed)
        }
    }
}

/// Help goes to standard output and is no failure; a wrong `computer exec` is no exit code of a guest.
fn usage(error: &clap::Error) -> ExitCode {
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ if matches!(std::env::args().nth(1).as_deref(), Some("exec" | "shell" | "attach")) => {
            exec::FAILED
        }
        _ => 2,
    };
    match error.print() {
        Ok(()) => ExitCode::from(code),
        Err(_unprintable) => ExitCode::from(FAILED),
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, CliError> {
    let Arguments { json, connection, command } = arguments;
    let output = Output::choose(json);
    match command {
        Command::Create(arguments) => {
            output.print(&machine::create(&connection.client()?, *arguments).await?)?;
        }
        Command::List(arguments) => {
            // Names are for programs that do not read JSON.
            let output = if arguments.quiet && !json { Output::Table } else { output };
            output.print(&machine::list(&connection.client()?, &arguments).await?)?;
        }
        Command::Show(arguments) => {
            output.print(&machine::show(&connection.client()?, &arguments).await?)?;
        }
        Command::Fork(arguments) => {
            let forked = fork::fork(&connection.client()?, *arguments).await?;
            output.print(&forked)?;
            return Ok(if forked.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Start(arguments) => {
            output.print(&machine::start(&connection.client()?, &arguments).await?)?;
        }
        Command::Stop(arguments) => {
            output.print(&machine::stop(&connection.client()?, &arguments).await?)?;
        }
        Command::Delete(arguments) => {
            output.print(&machine::delete(&connection.client()?, &arguments).await?)?;
        }
        Command::Exec(arguments) => return exec::run(&connection.client()?, arguments).await,
        Command::Resize(arguments) => {
            output.print(&machine::resize(&connection.client()?, &arguments).await?)?;
        }
        Command::Volume(arguments) => {
            volume::run(&connection.client()?, arguments, output).await?;
        }
        Command::Store(arguments) => {
            let is_well = store::run(&connection.client()?, arguments, output).await?;
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Mount(arguments) => {
            mount::run(&connection.client()?, arguments, output).await?;
        }
        Command::Watch(arguments) => {
            watch::run(&connection.client()?, arguments, output).await?;
        }
        Command::Storage => output.print(&storage::report(&connection.client()?).await?)?,
        Command::Port(arguments) => {
            port::run(&connection.client()?, arguments, output).await?;
        }
        Command::Cp(arguments) => {
            if let Some(copied) = copy::run(&connection.client()?, arguments).await? {
                output.print(&copied)?;
            }
        }
        Command::Shell(arguments) => return exec::shell(&connection.client()?, arguments).await,
        Command::Attach(arguments) => return exec::attach(&connection.client()?, arguments).await,
        Command::Sessions(arguments) => {
            output.print(&exec::sessions(&connection.client()?, arguments).await?)?;
        }
        Command::ExecRelay(arguments) => {
            output.print(&exec::relay(&connection.client()?, arguments).await?)?;
        }
        Command::Snapshot(arguments) => {
            snapshot::run(&connection.client()?, arguments, output).await?;
        }
        Command::Image(arguments) => output.print(&image::run(arguments).await?)?,
        Command::Setup(arguments) => output.print(&setup::run(arguments).await?)?,
        Command::Doctor(arguments) => {
            let report = doctor::run(arguments, &connection.client()?).await;
            output.print(&report)?;
            return Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Operations(arguments) => {
            output.print(&operation::list(&connection.client()?, &arguments).await?)?;
        }
        Command::Completions(arguments) => manual::complete(&arguments),
        Command::Manual(arguments) => manual::write(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An error with all its causes, and what to do where that is known.
fn explain(error: &CliError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        // Writing to a String cannot fail.
        write!(text, ": {one}").expect("a String takes any text");
        cause = one.source();
    }
    if let CliError::Daemon(ClientError::Connect { source, .. }) = error {
        text.push_str(match source.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "\nRun it with sudo, or join the group of the socket."
            }
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                "\nIs computerd running? Another socket is given with --socket or COMPUTER_SOCKET."
            }
            _ => "",
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use contract::client::Address;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_what_to_do() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let address = Address::Unix("/run/none.sock".into());
        let error = CliError::Daemon(ClientError::Connect { address, source });
        let told = explain(&error);
        assert!(
            told.starts_with("connect to the host at /run/none.sock: entity not found"),
            "{told}"
        );
        assert!(told.contains("Is computerd running?"), "{told}");
    }
}
