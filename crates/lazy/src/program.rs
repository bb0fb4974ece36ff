//! Which of the two processes this is, by its arguments.

use std::process::ExitCode;

use crate::server;
use crate::session::Beginning;
use crate::supervisor::{self, SERVER_COMMAND, SUPERVISOR_COMMAND};

/// Runs supervisor or server if the arguments, without the program's name, ask for one. Called before
/// anything else in `main`: both rely on a process with one thread and nothing open.
pub fn program(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [command, rest @ ..] if command == SUPERVISOR_COMMAND => Some(supervisor::run(rest)),
        [command, how] if command == SERVER_COMMAND => Some(server::run(match how.as_str() {
            "taken-over" => Beginning::TakenOver,
            _ => Beginning::New,
        })),
        _ => None,
    }
}
