//! `computer exec`, `shell` and `attach`: a command in a machine, as if it ran here; and the port at which programs run theirs (`relay`).
//!
//! ```text
//! standard input -> input (a thread)   \
//! signals, size of the terminal ->      session -> the daemon's WebSocket -> the guest's agent
//! standard output and error         <- /
//! ```
//! Output and end come while input goes, so that neither waits for the other. A connection that breaks is made again, and
//! nothing is lost by it: the session goes on in the guest.

mod arguments;
mod attach;
mod detach;
mod input;
mod relay;
mod sent;
mod session;
mod sessions;
mod shell;
mod signals;
mod terminal;

use std::io::{IsTerminal as _, stdin};
use std::process::ExitCode;

use contract::ErrorCode;
use contract::client::Client;
use contract::exec_stream::{ExecControl, ExecStart};
use contract::id::MachineId;

use crate::error::CliError;
use crate::output;
use detach::{DetachKeys, Watch};
use input::Input;
use sent::Sent;
use session::{Ended, Session, Speaker};
use signals::Signals;
use terminal::RawTerminal;

pub(crate) use arguments::ExecArguments;
pub(crate) use attach::AttachArguments;
pub(crate) use relay::{RelayArguments, relay};
pub(crate) use sessions::SessionsArguments;
pub(crate) use shell::ShellArguments;

/// How `computer exec` ends when the command could not be run or was lost.
pub(crate) const FAILED: u8 = 125;
/// How `computer exec` ends when the command's time ran out, as timeout(1) does.
const TIMED_OUT: u8 = 124;

/// How this side takes part in a command.
struct Part {
    machine: MachineId,
    start: ExecStart,
    passes_input: bool,
    has_terminal: bool,
    keys: DetachKeys,
    greeting: Option<ExecControl>,
    leaves_at_once: bool,
}

/// Runs a command in a machine and ends as it does.
pub(crate) async fn run(client: &Client, arguments: ExecArguments) -> Result<ExitCode, CliError> {
    let start = arguments.start();
    let part = Part {
        passes_input: start.stdin && !arguments.detach,
        start,
        machine: arguments.machine,
        has_terminal: arguments.tty && !arguments.detach,
        keys: arguments.detach_keys,
        greeting: None,
        leaves_at_once: arguments.detach,
    };
    take_part(client, part).await
}

/// Opens a shell.
pub(crate) async fn shell(
    client: &Client,
    arguments: ShellArguments,
) -> Result<ExitCode, CliError> {
    run(client, arguments.into()).await
}

/// Goes on with a command that was left, and ends as it does.
pub(crate) async fn attach(
    client: &Client,
    arguments: AttachArguments,
) -> Result<ExitCode, CliError> {
    let session = attach::find(client, &arguments).await?;
    let part = Part {
        start: attach::start(&session),
        machine: arguments.machine,
        passes_input: session.stdin && !arguments.no_stdin,
        has_terminal: session.tty,
        keys: arguments.detach_keys,
        greeting: session.tty.then(|| ExecControl::Resize(terminal::size())),
        leaves_at_once: false,
    };
    take_part(client, part).await
}

/// Lists the commands of a machine.
pub(crate) async fn sessions(
    client: &Client,
    arguments: SessionsArguments,
) -> Result<sessions::ShownSessions, CliError> {
    sessions::list(client, arguments).await
}

async fn take_part(client: &Client, part: Part) -> Result<ExitCode, CliError> {
    let is_typed = part.has_terminal && part.passes_input && stdin().is_terminal();
    let speaker = Speaker {
        input: if part.passes_input { Input::read() } else { Input::none() },
        signals: Signals::listen(part.has_terminal)?,
        watch: is_typed.then(|| Watch::new(part.keys)),
        greeting: part.greeting,
        leaves_at_once: part.leaves_at_once,
        sent: Sent::default(),
    };
    let raw = is_typed.then(RawTerminal::enter).transpose()?;
    let ended = Session::new(client, part.machine.clone(), part.start).run(speaker).await;
    drop(raw);
    match ended {
        // The lowest eight bits are what a process can say of its end.
        Ok(Ended::Exited(code)) => Ok(ExitCode::from(code.to_le_bytes()[0])),
        Ok(Ended::Left(session)) if part.leaves_at_once => {
            output::print(session.as_str())?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Ended::Left(session)) => {
            eprintln!("\nIt runs on. To go on with it: computer attach {} {session}", part.machine);
            Ok(ExitCode::SUCCESS)
        }
        Err(CliError::Command { message, code: ErrorCode::Deadline }) => {
            eprintln!("computer: {message}");
            Ok(ExitCode::from(TIMED_OUT))
        }
        Err(error) => Err(error),
    }
}
