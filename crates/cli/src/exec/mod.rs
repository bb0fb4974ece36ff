//! `computer exec`: run a command in a machine, as if it ran here.
//!
//! ```text
//! standard input -> input (a thread)   \
//! signals, size of the terminal ->      session -> the daemon's WebSocket -> the guest's agent
//! standard output and error         <- /
//! ```
//! Output and end come while input goes, so that neither waits for the other. A connection that breaks is made again
//! while nothing can be lost by it: the session goes on in the guest.

mod arguments;
mod input;
mod session;
mod terminal;

use std::process::ExitCode;

use contract::ErrorCode;
use contract::client::Client;

use crate::error::CliError;
use input::Input;
use session::{Session, Signals};
use terminal::RawTerminal;

pub(crate) use arguments::ExecArguments;

/// How `computer exec` ends when the command could not be run or was lost.
pub(crate) const FAILED: u8 = 125;
/// How `computer exec` ends when the command's time ran out, as timeout(1) does.
const TIMED_OUT: u8 = 124;

/// Runs a command in a machine and ends as it does.
pub(crate) async fn run(client: &Client, arguments: ExecArguments) -> Result<ExitCode, CliError> {
    let start = arguments.start();
    let input = if start.stdin { Input::read() } else { Input::none() };
    let signals = Signals::listen(arguments.tty)?;
    let raw = arguments.tty.then(RawTerminal::enter).transpose()?;
    let session = Session::new(client, arguments.machine, start);
    let ended = session.run(input, signals).await;
    drop(raw);
    match ended {
        // The lowest eight bits are what a process can say of its end.
        Ok(code) => Ok(ExitCode::from(code.to_le_bytes()[0])),
        Err(CliError::Command { message, code: ErrorCode::Deadline }) => {
            eprintln!("computer: {message}");
            Ok(ExitCode::from(TIMED_OUT))
        }
        Err(error) => Err(error),
    }
}
